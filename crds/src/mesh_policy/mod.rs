//! MeshPolicy: how traffic behaves.
//!
//! A refused one keeps its last good meaning. Of one that never had any only `mtls` applies: what
//! cannot be read of it is Strict, and where it cannot be read whom it speaks for, it is its
//! namespace, for which nothing is opened.

mod client;
mod mtls;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use client::{
    Algorithm, ConnectionPool, LoadBalancing, OutlierDetection, RetryBudget, SuccessRate,
    TcpKeepalive, Timeouts,
};
pub use mtls::{Mtls, MtlsModeName};

use crate::{
    reference::{MeshTarget, PodSelector},
    status::Status,
};

/// How traffic behaves: encryption, balancing, pools, outlier ejection, retry budget, time-outs.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "weft.dev",
    version = "v1alpha1",
    kind = "MeshPolicy",
    plural = "meshpolicies",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    shortname = "mpol",
    category = "weft",
    category = "mesh",
    doc = "How traffic behaves: encryption, balancing, pools, outlier ejection, retry budget, time-outs. The most specific target wins field by field: Mesh, Namespace, Service, port; at one level the older policy."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.targetRefs) != has(self.selector)",
        "targetRefs, selector: a policy speaks for one or the other; give exactly one of targetRefs and selector"),
    validation = ("!has(self.selector) || !(has(self.loadBalancing) || has(self.connectionPool) || has(self.outlierDetection) || has(self.retryBudget) || has(self.timeouts))",
        "selector: selects pods as servers, but loadBalancing, connectionPool, outlierDetection, retryBudget and timeouts are obeyed by clients; use targetRefs for them"),
    validation = ("has(self.mtls) || has(self.loadBalancing) || has(self.connectionPool) || has(self.outlierDetection) || has(self.retryBudget) || has(self.timeouts)",
        "spec: sets nothing; give mtls, loadBalancing, connectionPool, outlierDetection, retryBudget or timeouts"),
    validation = ("!has(self.targetRefs) || self.targetRefs.all(t, self.targetRefs.exists_one(u, u == t))",
        "targetRefs: the same target is named twice; remove one"),
    validation = ("!has(self.targetRefs) || !self.targetRefs.exists(t, t.kind == 'Mesh') || self.targetRefs.size() == 1",
        "targetRefs: Mesh is everything already; name it alone, or name only Services and Namespaces"),
    validation = ("!has(self.mtls) || !has(self.mtls.ports) || !has(self.targetRefs) || self.targetRefs.all(t, t.kind != 'Mesh')",
        "mtls.ports: a port number means nothing over the whole mesh; use mtls.mode, or target Services or a Namespace"),
    validation = ("!has(self.mtls) || !has(self.mtls.ports) || !has(self.targetRefs) || self.targetRefs.all(t, !has(t.port))",
        "mtls.ports: the target names a port already; use mtls.mode, or remove targetRefs[].port"),
)]
pub struct MeshPolicySpec {
    /// What the policy speaks for, instead of selector. 1 to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<MeshTarget>,
    /// Pods of the policy's own namespace, instead of targetRefs. Only for mtls: everything
    /// else is obeyed by clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<PodSelector>,
    /// Whether the selected pods take plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Mtls>,
    /// How clients choose an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancing: Option<LoadBalancing>,
    /// Bounds of each client proxy's connections to a service port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// When a failing endpoint is taken out of the balancing. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// How many retries may be added to the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
    /// Time-outs where a route's rule sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

//! What a route or a policy is attached to.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of Gateways.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// Kinds that a route can steer the traffic of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ParentKind {
    /// A Service: traffic that clients in the mesh send to it.
    Service,
    /// A Gateway: traffic that enters there.
    Gateway,
}

/// Whose traffic a route steers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.group) || self.group == (self.kind == 'Gateway' ? 'gateway.networking.k8s.io' : '')",
        "group: does not hold this kind; leave group out, or write gateway.networking.k8s.io for a Gateway and \"\" for a Service"),
    validation = ("self.kind == 'Gateway' || !has(self.sectionName)",
        "sectionName: only a Gateway has listeners; name a Service's port with port"),
    validation = ("self.kind == 'Service' || !has(self.port)",
        "port: a Gateway's listener is chosen by name; use sectionName instead of port"),
    validation = ("!has(self.port) || (self.port >= 1 && self.port <= 65535)",
        "port: not a port number; use 1 to 65535"),
)]
pub struct ParentRef {
    /// API group of the parent. Default: the group of the kind (core for a Service).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// `Service`: what clients in the mesh send to it. `Gateway`: what enters there.
    pub kind: ParentKind,
    /// The parent's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The parent's namespace. Default: the route's own. A Service of the route's own namespace
    /// is steered for every client; a Service of another namespace only for clients in the
    /// route's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The Service's port (not the target port). Default: every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// The Gateway's listener, by name. Default: every listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// Kinds that a MeshPolicy can speak for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum MeshTargetKind {
    /// A Service of the policy's own namespace.
    Service,
    /// The policy's own namespace.
    Namespace,
    /// The whole mesh; only from the root namespace.
    Mesh,
}

/// What a MeshPolicy speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.kind != 'Service' || has(self.name)",
        "name: a Service target is one Service; give its name"),
    validation = ("self.kind != 'Mesh' || !has(self.name)",
        "name: there is one mesh; leave name out when kind is Mesh"),
    validation = ("self.kind == 'Service' || !has(self.port)",
        "port: only a Service has ports; leave port out or target a Service"),
    validation = ("!has(self.port) || (self.port >= 1 && self.port <= 65535)",
        "port: not a port number; use 1 to 65535"),
)]
pub struct MeshTarget {
    /// `Service`, `Namespace` (the policy's own) or `Mesh` (only from the root namespace).
    pub kind: MeshTargetKind,
    /// The target's name. Needed for a Service; for a Namespace it is the policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The Service's port (not the target port). Default: every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

/// Kinds that an AuthPolicy can guard.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum AuthTargetKind {
    /// The pods of a Service of the policy's own namespace.
    Service,
    /// Every pod of the policy's own namespace.
    Namespace,
    /// A Gateway of the policy's own namespace.
    Gateway,
    /// Every pod of the mesh; only from the root namespace.
    Mesh,
}

/// What an AuthPolicy guards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!(self.kind in ['Service', 'Gateway']) || has(self.name)",
        "name: a Service or Gateway target is one object; give its name"),
    validation = ("self.kind != 'Mesh' || !has(self.name)",
        "name: there is one mesh; leave name out when kind is Mesh"),
)]
pub struct AuthTarget {
    /// `Service`, `Namespace` (the policy's own), `Gateway` or `Mesh` (only from the root
    /// namespace).
    pub kind: AuthTargetKind,
    /// The target's name. Needed for a Service or a Gateway; for a Namespace it is the policy's
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

/// Pods of the policy's own namespace, by label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.matchLabels.size() > 0",
        "matchLabels: selects nothing when empty; name a label, or use targetRefs with kind Namespace for every pod"),
)]
pub struct PodSelector {
    /// Labels that a pod must have, all of them.
    #[schemars(extend("maxProperties" = 16), transform = crate::definitions::label_values)]
    pub match_labels: BTreeMap<String, String>,
}

//! AuthPolicy: who may.
//!
//! A refused one keeps its last good meaning. One that never had any fails closed: an Allow
//! permits nothing, a Deny refuses everything; what cannot be read at all refuses everything in
//! its namespace.

mod rule;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rule::{AuthRule, Condition, Source, To};

use crate::{
    reference::{AuthTarget, PodSelector},
    status::Status,
};

/// What a matching rule means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Action {
    /// Permits; and once any Allow policy selects a workload, what none allows is denied.
    #[default]
    Allow,
    /// Refuses, before any Allow is looked at.
    Deny,
    /// Only logs.
    Audit,
}

/// Whether a policy acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Acts.
    #[default]
    Enforce,
    /// Is evaluated, counted and logged; changes nothing.
    Shadow,
}

/// Who may call what.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "weft.dev",
    version = "v1alpha1",
    kind = "AuthPolicy",
    plural = "authpolicies",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    shortname = "apol",
    category = "weft",
    category = "mesh",
    doc = "Who may call what. Deny is looked at before Allow; once any Allow policy selects a workload, what none allows is denied."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.targetRefs) != has(self.selector)",
        "targetRefs, selector: a policy guards one or the other; give exactly one of targetRefs and selector"),
    validation = ("self.action == 'Allow' || has(self.rules)",
        "rules: a Deny or Audit policy without rules does nothing; give rules (an empty rule {} matches everything), or remove the policy"),
    validation = ("!has(self.rules) || self.rules.all(r, !has(r.name) || self.rules.exists_one(s, has(s.name) && s.name == r.name))",
        "rules: two rules have the same name; give each rule its own name"),
    validation = ("!has(self.targetRefs) || self.targetRefs.all(t, self.targetRefs.exists_one(u, u == t))",
        "targetRefs: the same target is named twice; remove one"),
    validation = ("!has(self.targetRefs) || !self.targetRefs.exists(t, t.kind == 'Mesh') || self.targetRefs.size() == 1",
        "targetRefs: Mesh is everything already; name it alone, or name only Services, Namespaces and Gateways"),
)]
pub struct AuthPolicySpec {
    /// What is guarded, instead of selector. 1 to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<AuthTarget>,
    /// Pods of the policy's own namespace that are guarded, instead of targetRefs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<PodSelector>,
    /// `Enforce` (default), or `Shadow`: counts and logs what it would do, changes nothing.
    #[serde(default)]
    pub mode: Mode,
    /// `Allow` (default): what no Allow policy permits is denied. `Deny`: refuses, before any
    /// Allow. `Audit`: only logs.
    #[serde(default)]
    pub action: Action,
    /// One rule that matches is enough. At most 32. An Allow policy without rules permits
    /// nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub rules: Vec<AuthRule>,
}

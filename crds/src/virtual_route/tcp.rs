//! One TCP rule.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::BackendRef;

/// Where connections that match go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.backendRefs.exists(b, b.weight > 0)",
        "backendRefs: every weight is 0, so no connection could go anywhere; give one backend a weight of 1 or more"),
    validation = ("!has(self.name) || self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "name: appears in logs and metrics; use lower-case letters, digits and hyphens, at most 63"),
)]
pub struct TcpRule {
    /// The rule's name, as it appears in logs, metrics and status. Default: its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Which connections: one of the matches must hold. At most 16. Default: every connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub matches: Vec<TcpMatch>,
    /// Where the connections go; one is drawn per connection, by weight. 1 to 16.
    #[schemars(length(min = 1, max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

/// Conditions on a connection; every one must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.ports) || has(self.destinationCIDRs)",
        "matches: says nothing when empty; give ports or destinationCIDRs, or leave matches out"),
    validation = ("!has(self.ports) || self.ports.all(p, p >= 1 && p <= 65535)",
        "matches[].ports: not a port number; use 1 to 65535"),
    validation = ("!has(self.destinationCIDRs) || self.destinationCIDRs.all(c, isCIDR(c))",
        "matches[].destinationCIDRs: not an address block; write 10.0.0.0/8 or fd00::/8"),
)]
pub struct TcpMatch {
    /// Ports that the client dialled, one of them. At most 16. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub ports: Vec<i32>,
    /// Address blocks that the client dialled, one of them: `10.0.0.0/8`. At most 16.
    /// Default: any.
    #[serde(
        rename = "destinationCIDRs",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 64)))]
    pub destination_cidrs: Vec<String>,
}

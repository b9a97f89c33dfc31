//! Whether workloads take plaintext.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_engine::documents::MtlsMode;

/// Whether a workload takes plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MtlsModeName {
    /// Only mutual TLS of the mesh; plaintext is refused.
    Strict,
    /// Both.
    Permissive,
    /// Only plaintext; clients do not use mutual TLS.
    Disabled,
}

impl From<MtlsModeName> for MtlsMode {
    fn from(mode: MtlsModeName) -> Self {
        match mode {
            MtlsModeName::Strict => Self::Strict,
            MtlsModeName::Permissive => Self::Permissive,
            MtlsModeName::Disabled => Self::Disabled,
        }
    }
}

/// Mutual TLS on the server's side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.mode) || has(self.ports)",
        "mtls: says nothing when empty; give mode or ports, or remove mtls"),
    validation = ("!has(self.ports) || self.ports.all(p, p.matches('^[1-9][0-9]{0,4}$') && int(p) <= 65535)",
        "mtls.ports: a key is not a port number; use the pod's own port in quotes, such as \"9090\""),
)]
pub struct Mtls {
    /// `Strict` (plaintext is refused), `Permissive` (both) or `Disabled` (only plaintext).
    /// Default: that of the next wider policy, else Permissive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<MtlsModeName>,
    /// By the pod's own port (the target port), in quotes: `"9090": Permissive`. At most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub ports: BTreeMap<String, MtlsModeName>,
}

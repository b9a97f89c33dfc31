//! Mesh-wide settings.

use serde::{Deserialize, Serialize};

use super::{AuthorizationPolicy, ClientPolicy, MtlsMode};

/// `mesh`: what every proxy needs before anything else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeshDocument {
    /// The SPIFFE trust domain, e.g. `cluster.local`.
    pub trust_domain: String,
    /// The cluster's DNS domain, e.g. `cluster.local`: the suffix of a service's full name.
    pub cluster_domain: String,
    /// PEM certificates of every root that is trusted now (several while a root rotates).
    pub trust_bundle: String,
    /// Client-side settings where no narrower policy speaks.
    pub client_policy: ClientPolicy,
    /// The mTLS mode of workloads where no narrower policy speaks. Permissive when absent.
    pub mtls: Option<MtlsMode>,
    /// AuthPolicies that target the mesh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization: Vec<AuthorizationPolicy>,
}

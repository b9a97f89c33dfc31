//! Mesh-wide settings.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{AuthorizationPolicy, ClientPolicy, MtlsMode};
use crate::identity::SpiffeId;

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
    /// Whom proxies tell what they have active. Absent: nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_to: Option<ReportTo>,
}

/// The operator that leads, as proxies reach it. Traffic never depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportTo {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who it must prove to be.
    pub identity: SpiffeId,
}

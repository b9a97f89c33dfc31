//! What the mesh is called and trusts.

use weft_engine::documents::ReportTo;

/// What the mesh is called and trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The SPIFFE trust domain.
    pub trust_domain: String,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// The namespace whose policies may target the whole mesh.
    pub root_namespace: String,
    /// PEM certificates of the trusted roots.
    pub trust_bundle: String,
    /// Whom proxies tell what they have active; `None`: they are not asked.
    pub report_to: Option<ReportTo>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            root_namespace: "weft-system".to_owned(),
            trust_bundle: String::new(),
            report_to: None,
        }
    }
}

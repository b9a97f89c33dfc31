//! The server-side policies of a namespace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AuthorizationPolicy, Protocol, Selector};

/// `inbound.<ns>`. Each proxy takes the entries whose selector matches its own pod's labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InboundDocument {
    /// The namespace.
    pub namespace: String,
    /// What the Services of the namespace declare of their pods' ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<InboundPort>,
    /// Most specific first (selector or Service before Namespace), then the older object: the
    /// first entry that selects the pod and speaks for the port wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mtls: Vec<MtlsPolicy>,
    /// AuthPolicies that may select pods here, older first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization: Vec<AuthorizationPolicy>,
}

/// A declared port of the pods that a Service selects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InboundPort {
    /// The Service, as `name`.
    pub service: String,
    /// The pods.
    pub selector: Selector,
    /// The pod's own port.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// Whether a workload takes plaintext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MtlsMode {
    /// Only mesh mTLS; plaintext is refused.
    Strict,
    /// Both.
    #[default]
    Permissive,
    /// Only plaintext: clients do not use mTLS towards it.
    Disabled,
}

/// An mTLS setting and the pods that it speaks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MtlsPolicy {
    /// `namespace/name` of the MeshPolicy.
    pub id: String,
    /// The pods.
    pub selector: Selector,
    /// For every port that `ports` does not name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<MtlsMode>,
    /// By the pod's own port.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<u16, MtlsMode>,
}

//! Who a workload is.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A workload's SPIFFE ID: `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SpiffeId {
    uri: String,
    trust_domain_end: usize,
    namespace: (usize, usize),
    service_account: usize,
}

/// Why a URI is not a workload's SPIFFE ID.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a workload identity; it has the form spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>"
)]
pub struct SpiffeIdError(pub String);

const SCHEME: &str = "spiffe://";

impl SpiffeId {
    /// Builds an ID from its parts.
    pub fn new(
        trust_domain: &str,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, SpiffeIdError> {
        format!("{SCHEME}{trust_domain}/ns/{namespace}/sa/{service_account}").parse()
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &str {
        self.uri
            .get(SCHEME.len()..self.trust_domain_end)
            .unwrap_or_default()
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        self.uri
            .get(self.namespace.0..self.namespace.1)
            .unwrap_or_default()
    }

    /// The service account's name.
    pub fn service_account(&self) -> &str {
        self.uri.get(self.service_account..).unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(uri: &str) -> Result<Self, SpiffeIdError> {
        let invalid = || SpiffeIdError(uri.chars().take(256).collect());
        // A DNS label or subdomain; anything else could smuggle a separator into a comparison.
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_')
                })
        };
        let rest = uri.strip_prefix(SCHEME).ok_or_else(invalid)?;
        let mut parts = rest.split('/');
        let (Some(domain), Some("ns"), Some(namespace), Some("sa"), Some(account), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(invalid());
        };
        if uri.len() > 2048 || !plain(domain) || !plain(namespace) || !plain(account) {
            return Err(invalid());
        }
        let trust_domain_end = SCHEME.len() + domain.len();
        let namespace_start = trust_domain_end + "/ns/".len();
        let namespace_end = namespace_start + namespace.len();
        Ok(Self {
            uri: uri.to_owned(),
            trust_domain_end,
            namespace: (namespace_start, namespace_end),
            service_account: namespace_end + "/sa/".len(),
        })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.uri
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = SpiffeIdError;

    fn try_from(uri: String) -> Result<Self, SpiffeIdError> {
        uri.parse()
    }
}

/// The workload that a proxy stands beside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its service account's name.
    pub service_account: String,
    /// Its pod's name.
    pub pod: String,
    /// Its pod's labels.
    pub labels: BTreeMap<String, String>,
}

//! Storing documents where proxies find them, and nothing that is stored already.

/// Documents as ConfigMaps.
mod config_maps;
/// Documents as files.
mod files;
/// What is stored, as far as is known.
mod ledger;

#[cfg(test)]
mod tests;

use weft_crds::Key;
use weft_engine::documents::{DocumentName, Envelope};

pub use config_maps::ConfigMaps;
pub use files::Files;
pub(crate) use files::replace;
pub use ledger::{Ledger, Observation};

/// The one field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "weft-operator";

/// The label that says whose an object is.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY`] on everything that the operator writes.
pub const MANAGED_BY_WEFT: &str = "weft";

/// The annotation with the digest of the document that a ConfigMap holds.
pub const DIGEST: &str = "weft.dev/digest";

/// The key of the ConfigMap's data that holds the document.
pub const DATA_KEY: &str = "document";

/// Where documents are stored.
pub trait Publisher: Clone + Send + Sync + 'static {
    /// Stores a document, whole or not at all. Says which version of it was stored, where the
    /// store counts versions, and how many bytes it has.
    fn write(
        &self,
        name: &DocumentName,
        envelope: &Envelope,
    ) -> impl Future<Output = Result<(Option<u64>, usize), PublishError>> + Send;

    /// Removes a document; it is no error when it is not there.
    fn withdraw(
        &self,
        name: &DocumentName,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// Why a document is not stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file could not be written.
    #[error("{path}: {source}; check that the directory is writable for this user and not full")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The API server refused or did not answer.
    #[error("ConfigMap {name}: {source}; {hint}")]
    Api {
        /// The ConfigMap.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
        /// What to check.
        hint: &'static str,
    },
    /// The API server did not answer in time.
    #[error("ConfigMap {name}: the API server did not answer within {seconds} s; is it reachable?")]
    Timeout {
        /// The ConfigMap.
        name: String,
        /// The bound.
        seconds: u64,
    },
    /// A document that no ConfigMap can hold.
    #[error(
        "document {name} has {bytes} bytes, a ConfigMap holds at most {most}; split the object it comes from (fewer rules in one namespace or service)"
    )]
    TooLarge {
        /// The document.
        name: String,
        /// Its size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
}

/// The kind of a document, for metrics and logs.
pub fn kind_of(name: &DocumentName) -> &'static str {
    match name {
        DocumentName::Mesh => "mesh",
        DocumentName::Index(_) => "index",
        DocumentName::Addresses(_) => "addresses",
        DocumentName::Inbound(_) => "inbound",
        DocumentName::Service(..) => "service",
        DocumentName::Endpoints(..) => "endpoints",
        DocumentName::Gateway(..) => "gateway",
    }
}

/// The first and the last name, in order, that a key's documents can have.
pub(crate) fn span(key: &Key) -> (DocumentName, DocumentName) {
    let one = |name: DocumentName| (name.clone(), name);
    match key.clone() {
        Key::Mesh => one(DocumentName::Mesh),
        Key::Index(shard) => one(DocumentName::Index(shard)),
        Key::Addresses(shard) => one(DocumentName::Addresses(shard)),
        Key::Inbound(namespace) => one(DocumentName::Inbound(namespace)),
        Key::Service(namespace, name) => one(DocumentName::Service(namespace, name)),
        Key::Gateway(namespace, name) => one(DocumentName::Gateway(namespace, name)),
        Key::Endpoints(namespace, name) => (
            DocumentName::Endpoints(namespace.clone(), name.clone(), 0),
            DocumentName::Endpoints(namespace, name, u32::MAX),
        ),
    }
}

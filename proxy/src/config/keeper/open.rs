//! From stored bytes to a document that may be trusted.

use weft_engine::documents::{Document, DocumentName, Envelope};

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error(transparent)]
    Envelope(#[from] weft_engine::documents::EnvelopeError),
    #[error(
        "the document holds another document than its name says; delete it and the operator writes it again"
    )]
    Misnamed,
}

/// Parses, and checks that the document is the one that its name promises. Gives the fields that
/// this build does not know as well.
pub(super) fn open(name: &DocumentName, json: &str) -> Result<(Envelope, Vec<String>), Rejection> {
    let (envelope, unknown) = Envelope::open(json)?;
    let is_same = match (&envelope.document, name) {
        (Document::Mesh(_), DocumentName::Mesh) => true,
        (Document::Index(d), DocumentName::Index(shard)) => d.shard == *shard,
        (Document::Addresses(d), DocumentName::Addresses(shard)) => d.shard == *shard,
        (Document::Inbound(d), DocumentName::Inbound(ns)) => d.namespace == *ns,
        (Document::Service(d), DocumentName::Service(ns, n)) => d.namespace == *ns && d.name == *n,
        (Document::Gateway(d), DocumentName::Gateway(ns, n)) => d.namespace == *ns && d.name == *n,
        (Document::Endpoints(d), DocumentName::Endpoints(ns, n, shard)) => {
            d.namespace == *ns && d.name == *n && d.shard == *shard
        }
        _ => false,
    };
    if is_same {
        Ok((envelope, unknown))
    } else {
        Err(Rejection::Misnamed)
    }
}

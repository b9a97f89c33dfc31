//! The contract of `weft.dev/config/v1`, byte for byte: what an earlier build wrote is read, and
//! what this build writes is what an earlier build reads.

use std::path::PathBuf;

use weft_engine::documents::{Document, Envelope, EnvelopeError};

/// One file per kind of document, each using every field of its kind.
const KINDS: [&str; 7] = [
    "mesh",
    "index",
    "addresses",
    "service",
    "endpoints",
    "inbound",
    "gateway",
];

fn golden(kind: &str) -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(format!("{kind}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text)
}

fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn every_document_is_read_whole_and_written_as_it_was() {
    for kind in KINDS {
        let (path, text) = golden(kind);
        let envelope = Envelope::from_json(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(envelope.unknown_fields(&text), [""; 0], "{kind}");
        assert_eq!(value(&envelope.to_json()), value(&text), "{kind}");
        assert_eq!(envelope.digest, envelope.document.digest(), "{kind}");
        let again = Envelope::seal(envelope.document.clone());
        assert_eq!(again, envelope, "{kind}");
    }
}

#[test]
fn a_field_of_the_next_version_is_reported_and_not_fatal() {
    for kind in KINDS {
        let (_, text) = golden(kind);
        let mut newer = value(&text);
        newer["apiVersion"] = "weft.dev/config/v2".into();
        newer["spec"]["fromTheFuture"] = serde_json::json!({"a": [1, 2]});
        let newer = newer.to_string();
        let read = Envelope::from_json(&newer).expect("a newer document is read");
        assert_eq!(read.unknown_fields(&newer), [".spec.fromTheFuture"]);
        let (_, text) = golden(kind);
        let known = Envelope::from_json(&text).expect("the document");
        assert_eq!(read.document, known.document, "{kind}");
    }
}

#[test]
fn a_field_that_is_absent_has_its_default() {
    for (kind, name) in [
        ("Mesh", "mesh"),
        ("Index", "index"),
        ("Addresses", "addresses"),
        ("Service", "service"),
        ("Endpoints", "endpoints"),
        ("Inbound", "inbound"),
        ("Gateway", "gateway"),
    ] {
        let bare = serde_json::json!({"kind": kind, "spec": {}});
        let read: Result<Document, _> = serde_json::from_value(bare);
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}

#[test]
fn a_document_that_was_changed_by_hand_is_refused() {
    let (_, text) = golden("inbound");
    let mut edited = value(&text);
    edited["spec"]["namespace"] = "elsewhere".into();
    assert!(matches!(
        Envelope::from_json(&edited.to_string()),
        Err(EnvelopeError::Digest { .. })
    ));
    let half = &text[..text.len() / 2];
    assert!(matches!(
        Envelope::from_json(half),
        Err(EnvelopeError::Json(_))
    ));
    let mut foreign = value(&text);
    foreign["apiVersion"] = "example.com/v1".into();
    assert!(matches!(
        Envelope::from_json(&foreign.to_string()),
        Err(EnvelopeError::Version { .. })
    ));
}

#[test]
fn equal_documents_have_equal_digests_and_different_ones_do_not() {
    let digests: Vec<_> = KINDS
        .iter()
        .map(|kind| {
            Envelope::from_json(&golden(kind).1)
                .expect("a document")
                .digest
        })
        .collect();
    for (at, digest) in digests.iter().enumerate() {
        assert_eq!(digest.len(), 32);
        assert!(!digests[..at].contains(digest));
    }
}

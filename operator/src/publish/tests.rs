use weft_engine::documents::{Document, DocumentName, Envelope, MeshDocument};

use super::{Files, Ledger, Observation, Publisher};

fn name(text: &str) -> DocumentName {
    text.parse().unwrap()
}

fn saw(text: &str, digest: &str, version: u64) -> Observation {
    Observation {
        name: name(text),
        digest: Some(digest.to_owned()),
        version,
    }
}

fn saw_gone(text: &str, version: u64) -> Observation {
    Observation {
        name: name(text),
        digest: None,
        version,
    }
}

#[test]
fn what_is_stored_already_is_not_written_again() {
    let mut ledger = Ledger::default();
    assert!(ledger.differs(&name("mesh"), "a"));
    ledger.wrote(name("mesh"), "a".to_owned(), Some(7));
    assert!(!ledger.differs(&name("mesh"), "a"));
    assert!(ledger.differs(&name("mesh"), "b"));
}

#[test]
fn what_the_first_list_names_is_not_written_again_after_a_restart() {
    let mut ledger = Ledger::default();
    ledger.observe(saw("service.shop.reviews", "a", 7));
    assert!(!ledger.differs(&name("service.shop.reviews"), "a"));
}

#[test]
fn our_own_write_coming_back_through_the_watch_is_no_news() {
    let mut ledger = Ledger::default();
    ledger.wrote(name("mesh"), "a".to_owned(), Some(7));
    ledger.wrote(name("mesh"), "b".to_owned(), Some(9));
    assert!(
        !ledger.observe(saw("mesh", "a", 7)),
        "older than our last write"
    );
    assert!(!ledger.observe(saw("mesh", "b", 9)), "our last write");
    assert!(!ledger.differs(&name("mesh"), "b"));
}

#[test]
fn what_somebody_else_changes_or_deletes_is_looked_at_again() {
    let mut ledger = Ledger::default();
    ledger.wrote(name("mesh"), "a".to_owned(), Some(7));
    assert!(
        ledger.observe(saw("mesh", "a", 8)),
        "edited under its old digest"
    );
    ledger.doubt(&name("mesh"));
    assert!(ledger.differs(&name("mesh"), "a"));

    ledger.wrote(name("mesh"), "a".to_owned(), Some(9));
    assert!(ledger.observe(saw_gone("mesh", 10)));
    assert!(ledger.differs(&name("mesh"), "a"));
    assert!(!ledger.holds(&name("mesh")));
}

#[test]
fn a_withdrawn_document_does_not_come_back_by_a_late_event() {
    let mut ledger = Ledger::default();
    ledger.wrote(name("mesh"), "a".to_owned(), Some(7));
    ledger.withdrew(&name("mesh"));
    assert!(!ledger.observe(saw("mesh", "a", 7)));
    assert!(!ledger.holds(&name("mesh")));
    assert_eq!(ledger.count(), 0);
    assert!(!ledger.observe(saw_gone("mesh", 8)), "our own deletion");
    assert!(ledger.differs(&name("mesh"), "a"));
}

#[test]
fn a_deletion_that_a_newer_write_of_ours_undid_is_no_news() {
    let mut ledger = Ledger::default();
    ledger.wrote(name("mesh"), "a".to_owned(), Some(7));
    ledger.withdrew(&name("mesh"));
    ledger.wrote(name("mesh"), "b".to_owned(), Some(9));
    assert!(!ledger.observe(saw_gone("mesh", 8)));
    assert!(!ledger.differs(&name("mesh"), "b"));
}

#[test]
fn every_shard_of_a_services_endpoints_is_found_and_no_neighbours() {
    let mut ledger = Ledger::default();
    for stored in [
        "endpoints.shop.reviews",
        "endpoints.shop.reviews.1",
        "endpoints.shop.reviews.12",
        "endpoints.shop.reviews-v2",
        "endpoints.shop.review",
        "service.shop.reviews",
    ] {
        ledger.wrote(name(stored), "a".to_owned(), None);
    }
    let first = DocumentName::Endpoints("shop".to_owned(), "reviews".to_owned(), 0);
    let last = DocumentName::Endpoints("shop".to_owned(), "reviews".to_owned(), u32::MAX);
    let found: Vec<_> = ledger
        .between(&first, &last)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "endpoints.shop.reviews",
            "endpoints.shop.reviews.1",
            "endpoints.shop.reviews.12"
        ]
    );
}

#[tokio::test]
async fn files_are_replaced_whole_and_an_edited_one_is_noticed_after_a_restart() {
    let out = tempfile::tempdir().unwrap();
    let files = Files::new(out.path()).unwrap();
    let envelope = Envelope::seal(Document::Mesh(MeshDocument {
        trust_domain: "cluster.local".to_owned(),
        ..MeshDocument::default()
    }));
    let (_, bytes) = files.write(&name("mesh"), &envelope).await.unwrap();
    let path = out.path().join("config/mesh.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.len(), bytes);
    assert_eq!(Envelope::from_json(&text).unwrap(), envelope);
    assert!(
        !files
            .survey()
            .unwrap()
            .differs(&name("mesh"), &envelope.digest)
    );

    std::fs::write(&path, text.replace("cluster.local", "evil.example")).unwrap();
    assert!(
        files
            .survey()
            .unwrap()
            .differs(&name("mesh"), &envelope.digest)
    );

    files.withdraw(&name("mesh")).await.unwrap();
    files.withdraw(&name("mesh")).await.unwrap();
    assert!(!path.exists());
    assert_eq!(
        std::fs::read_dir(out.path().join("config"))
            .unwrap()
            .count(),
        0
    );
}

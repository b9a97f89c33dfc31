//! Documents that nobody should have written, through the door that every document comes in by:
//! no panic, and what was last good stays in use and is said to.

/// The keeper behind a feed that says what the test wants.
mod door;
/// What becomes of a good document.
mod mutation;
/// What workers do with whatever is in use.
mod traffic;

use std::time::{Duration, Instant};

use door::Door;
use weft_engine::documents::{AddressesDocument, Document, DocumentName, Envelope, IndexDocument};
use weft_proxy::config::FeedEvent;

/// Mutations of each of the two halves, which run side by side: together ten thousand.
const MUTATIONS: usize = 5_000;

/// One good document of each kind, each using every field of its kind.
fn good() -> Vec<(DocumentName, String)> {
    let kinds = [
        "mesh",
        "index",
        "addresses",
        "inbound",
        "service",
        "endpoints",
        "gateway",
    ];
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/golden/v1");
    let read = |kind: &&str| {
        let json = std::fs::read_to_string(format!("{golden}/{kind}.json")).unwrap();
        let mut document = Envelope::from_json(&json).unwrap().document;
        let name = match &mut document {
            Document::Mesh(_) => DocumentName::Mesh,
            Document::Inbound(d) => DocumentName::Inbound(d.namespace.clone()),
            Document::Service(d) => DocumentName::Service(d.namespace.clone(), d.name.clone()),
            Document::Gateway(d) => DocumentName::Gateway(d.namespace.clone(), d.name.clone()),
            Document::Endpoints(d) => {
                DocumentName::Endpoints(d.namespace.clone(), d.name.clone(), d.shard)
            }
            // In the shard in which they are looked for.
            Document::Index(d) => {
                d.shard = IndexDocument::shard_of(*d.services.keys().next().unwrap());
                DocumentName::Index(d.shard)
            }
            Document::Addresses(d) => {
                d.shard = AddressesDocument::shard_of(*d.pods.keys().next().unwrap());
                DocumentName::Addresses(d.shard)
            }
        };
        (name, Envelope::seal(document).to_json())
    };
    kinds.iter().map(read).collect()
}

#[tokio::test]
async fn mutated_documents_cause_no_panic_and_the_last_good_stays() {
    mutated(0x57ef7).await;
}

#[tokio::test]
async fn other_mutated_documents_cause_no_panic_and_the_last_good_stays() {
    mutated(0x1dea5).await;
}

/// The same every time: what fails can be looked at again.
async fn mutated(seed: u64) {
    let began = Instant::now();
    let state = tempfile::tempdir().unwrap();
    let mut door = Door::open(state.path());
    let good = good();
    for (name, json) in &good {
        door.take(name, json).await;
        let active = door.active(name).expect("a good document is in use");
        assert_eq!(active.rejected, None, "{name}");
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..MUTATIONS {
        let (name, json) = &good[round % good.len()];
        if door.active(name).is_none() {
            // A service document of fewer shards gave this one up.
            door.take(name, json).await;
        }
        let before = door.active(name).expect("something is always in use");
        let mutated = mutation::mutate(&mut random, json);
        door.take(name, &mutated).await;
        let after = door.active(name).expect("something is always in use");
        match &after.rejected {
            Some(why) => {
                refused += 1;
                assert!(!why.is_empty());
                assert_eq!(after.digest, before.digest, "{name}: {mutated}");
            }
            None => {
                taken += 1;
                let (envelope, _) = Envelope::open(&mutated).expect("it was taken");
                assert_eq!(after.digest, envelope.digest, "{name}: {mutated}");
                traffic::flow(&door.store, &mut random).await;
            }
        }
    }
    // Both ways were gone often enough to say something.
    assert!(taken > MUTATIONS / 20, "{taken} taken, {refused} refused");
    assert!(refused > MUTATIONS / 10, "{taken} taken, {refused} refused");
    let counted = door.metric(r#"weft_config_reloads_total{result="rejected"}"#);
    assert_eq!(counted, Some(refused));

    // What is on disk is what is in use, and a restart would start from it.
    for (name, _) in &good {
        let stored = std::fs::read_to_string(state.path().join(format!("{name}.json"))).unwrap();
        let (stored, _) = Envelope::open(&stored).expect("only what is good is kept");
        let Some(active) = door.active(name) else {
            continue;
        };
        assert_eq!(stored.digest, active.digest, "{name}");
    }
    // And what is good again is taken at once.
    for (name, json) in &good {
        door.take(name, json).await;
        let active = door.active(name).unwrap();
        assert_eq!(active.digest, Envelope::from_json(json).unwrap().digest);
        assert_eq!(active.rejected, None, "{name}");
    }
    println!(
        "{MUTATIONS} mutated documents in {:?}: {taken} taken, {refused} refused",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_start_with_a_state_directory_full_of_nonsense_waits_for_what_is_good() {
    let state = tempfile::tempdir().unwrap();
    let good = good();
    let mut random = fastrand::Rng::with_seed(7);
    for (name, json) in &good {
        // Cut short: as a full disk leaves it.
        let half = mutation::cut(&mut random, json);
        std::fs::write(state.path().join(format!("{name}.json")), half).unwrap();
    }
    let mut door = Door::open(state.path());
    for (name, json) in &good {
        let reason = "no route to host".to_owned();
        door.say(FeedEvent::Unreachable {
            name: name.clone(),
            reason,
        })
        .await;
        let active = door.active(name).expect("it says why there is none");
        assert_eq!(active.digest, "", "{name} was taken from a broken file");
        assert!(active.rejected.is_some(), "{name}");
        door.take(name, json).await;
        let active = door.active(name).unwrap();
        assert_ne!(active.digest, "", "{name}");
        assert_eq!(active.rejected, None, "{name}");
    }
    assert!(door.store.is_complete());
}

/// What is followed again after it was given up is news, though it is the same as before.
#[tokio::test]
async fn a_shard_that_went_and_came_back_unchanged_is_in_use_again() {
    let state = tempfile::tempdir().unwrap();
    let mut door = Door::open(state.path());
    let (_, service) = good().swap_remove(4);
    let (shard, endpoints) = good().swap_remove(5);
    let Document::Service(mut document) = Envelope::from_json(&service).unwrap().document else {
        panic!("the service");
    };
    let name = DocumentName::Service("shop".to_owned(), "reviews".to_owned());
    let first = DocumentName::Endpoints("shop".to_owned(), "reviews".to_owned(), 0);
    for shards in [2, 1, 2] {
        document.endpoint_shards = shards;
        let sealed = Envelope::seal(Document::Service(document.clone()));
        door.take(&name, &sealed.to_json()).await;
        door.say(FeedEvent::Absent {
            name: first.clone(),
        })
        .await;
        if shards == 2 {
            door.take(&shard, &endpoints).await;
        }
        let view = tokio::time::timeout(
            Duration::from_secs(5),
            door.store.service("shop", "reviews"),
        );
        let view = view.await.unwrap().expect("the service is whole");
        let ports = view.endpoints_by_port().count();
        assert_eq!(ports > 0, shards == 2, "{shards} shards, {ports} ports");
    }
}

//! The proxy's own config feed against a real API server: whatever is cut, restarted or deleted
//! meanwhile, what was written last is what is in use.

/// Between the feed and the API server.
mod relay;
/// The API server, the proxy's account and its rights.
mod stage;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use stage::{BOUND, CONFIG, Stage, endpoints};
use tokio::time::timeout;
use weft_engine::{
    documents::{Document, DocumentName, ServiceDocument, ServicePort},
    identity::Workload,
};
use weft_proxy::{
    config::{ApiFeed, ConfigStore, Feed, FeedEvent, Keeper, LastGood},
    observe::Metrics,
};

const SWAPS: u16 = 500;

fn name(service: &str) -> DocumentName {
    DocumentName::Endpoints("shop".to_owned(), service.to_owned(), 0)
}

fn keep(stage: &Stage) -> ConfigStore {
    let workload = Workload {
        namespace: "shop".to_owned(),
        service_account: "frontend".to_owned(),
        ..Workload::default()
    };
    let feed = ApiFeed::new(stage.server(), CONFIG);
    let recorder = Metrics::default().recorder();
    let (keeper, store) = Keeper::new(feed, LastGood::default(), workload, None, recorder);
    tokio::spawn(keeper.run());
    store
}

/// Waits until `store` uses the document with this digest.
async fn until_in_use(store: &ConfigStore, name: &DocumentName, digest: &str) {
    let mut changes = store.changes();
    let wait = async {
        loop {
            let active = store.active().remove(name).map(|active| active.digest);
            if active.as_deref() == Some(digest) {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    timeout(BOUND, wait).await.unwrap_or_else(|_| {
        panic!(
            "{name} is not what was written last: {:?}",
            store.active().get(name)
        )
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_500_swaps_the_last_is_in_use_whatever_was_cut_between() {
    let stage = Stage::enter().await;
    let name = name("echo");
    stage.write(endpoints("echo", 0)).await;
    stage
        .write(Document::Service(ServiceDocument {
            namespace: "shop".to_owned(),
            name: "echo".to_owned(),
            ports: vec![ServicePort {
                port: 80,
                ..ServicePort::default()
            }],
            endpoint_shards: 1,
            ..ServiceDocument::default()
        }))
        .await;
    let store = keep(&stage);
    assert!(store.service("shop", "echo").await.is_some());

    // Who watches: which swaps are in use, in the order in which they come to be.
    let swaps: HashMap<String, u16> = (0..=SWAPS)
        .map(|swap| (endpoints("echo", swap).digest(), swap))
        .collect();
    let seen: Arc<Mutex<Vec<u16>>> = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (store, seen, over, name) = (store.clone(), seen.clone(), over.clone(), name.clone());
        let mut changes = store.changes();
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) {
                if let Some(active) = store.active().remove(&name) {
                    let swap = swaps[&active.digest];
                    let mut seen = seen.lock().unwrap();
                    if seen.last() != Some(&swap) {
                        seen.push(swap);
                    }
                }
                let _ = timeout(Duration::from_millis(100), changes.changed()).await;
            }
        })
    };

    let began = Instant::now();
    for swap in 1..=SWAPS {
        match swap {
            // A network that forgets its connections.
            100 | 150 | 350 => stage.relay.cut(),
            // A rollout of the API server, in the middle of everything.
            200 => {
                stage.plane.stop_api_server().await.unwrap();
                stage.plane.start_api_server().await.unwrap();
            }
            // Deleted by somebody, and written again.
            450 => stage.delete(&name).await,
            _ => {}
        }
        stage.write(endpoints("echo", swap)).await;
    }
    let wrote = began.elapsed();
    until_in_use(&store, &name, &endpoints("echo", SWAPS).digest()).await;
    let behind = began.elapsed() - wrote;

    over.store(true, Ordering::SeqCst);
    watcher.await.expect("every digest in use was written");
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.windows(2).all(|pair| pair[0] < pair[1]),
        "an older document replaced a newer one: {seen:?}"
    );
    // Neighbours may fall together; most are seen.
    assert!(seen.len() > usize::from(SWAPS) / 10, "{seen:?}");
    assert_eq!(seen.last(), Some(&SWAPS));
    println!(
        "{SWAPS} swaps in {wrote:?}, {} of them seen in use, the last {behind:?} after it was written",
        seen.len()
    );

    // And it is in use, not only known.
    let view = store.service("shop", "echo").await.unwrap();
    let last = [10, 0, (SWAPS >> 8) as u8, (SWAPS & 255) as u8];
    assert_eq!(view.endpoints(80)[0].address, (last, 8080).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_documents_than_one_connection_carries_are_followed_over_a_few() {
    const DOCUMENTS: usize = 150;
    let stage = Stage::enter().await;
    let services: Vec<String> = (0..DOCUMENTS).map(|number| format!("s{number}")).collect();
    for service in services.iter().step_by(2) {
        stage.write(endpoints(service, 0)).await;
    }
    let mut feed = ApiFeed::new(stage.server(), CONFIG);
    for service in &services {
        feed.follow(name(service));
    }
    // What each is said to be; half of them are not there.
    let mut known = BTreeMap::new();
    hear(&mut feed, &mut known, |known| known.len() == DOCUMENTS).await;
    for (number, service) in services.iter().enumerate() {
        let is_there = known[&name(service)].is_some();
        assert_eq!(is_there, number % 2 == 0, "{service}");
    }
    for service in &services {
        stage.write(endpoints(service, 1)).await;
    }
    let wanted: BTreeMap<DocumentName, String> = services
        .iter()
        .map(|service| (name(service), endpoints(service, 1).digest()))
        .collect();
    let is_up_to_date = |known: &BTreeMap<DocumentName, Option<String>>| {
        wanted.iter().all(|(name, digest)| {
            let json = known.get(name).and_then(Option::as_ref);
            json.is_some_and(|json| json.contains(digest))
        })
    };
    hear(&mut feed, &mut known, is_up_to_date).await;
    // 64 watches to a connection: a third would not be needed for less than 129.
    assert_eq!(stage.relay.made(), DOCUMENTS.div_ceil(64));
}

/// Takes events in until `enough`.
async fn hear(
    feed: &mut ApiFeed,
    known: &mut BTreeMap<DocumentName, Option<String>>,
    enough: impl Fn(&BTreeMap<DocumentName, Option<String>>) -> bool,
) {
    let listen = async {
        while !enough(known) {
            match feed.next().await {
                FeedEvent::Document { name, json } => known.insert(name, Some(json)),
                FeedEvent::Absent { name } => known.insert(name, None),
                FeedEvent::Unreachable { name, reason } => panic!("{name}: {reason}"),
            };
        }
    };
    let heard = timeout(BOUND, listen).await;
    assert!(
        heard.is_ok(),
        "only {} documents were heard of",
        known.len()
    );
}

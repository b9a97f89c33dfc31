//! The services and the driver's clients, face to face: what fails here fails without a mesh.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use clap::Parser;
use http::StatusCode;
use serde_json::json;

use super::{
    clients::{self, Clients},
    layout,
};
use crate::bookstore::{self, Arguments, FaultSettings, answer::CLIENT_CERT};

/// A running service and its health address; ends with the test's runtime.
struct Service {
    address: SocketAddr,
    health: SocketAddr,
}

async fn start(role: &str, flags: &[String]) -> Service {
    let free = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.local_addr().expect("an address")
    };
    let (address, health) = (free(), free());
    let mut line = vec!["bookstore".to_owned(), role.to_owned()];
    for (flag, value) in [
        ("--listen", address.to_string()),
        ("--health", health.to_string()),
        ("--instance", format!("{role}-1")),
    ] {
        line.extend([flag.to_owned(), value]);
    }
    line.extend(flags.iter().cloned());
    let arguments = Arguments::try_parse_from(line).expect("valid flags");
    tokio::spawn(bookstore::run(arguments));
    let clients = Clients::new();
    let up = async {
        while !clients.is_ok(health, "/readyz").await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), up)
        .await
        .expect("ready within 10 s");
    Service { address, health }
}

#[tokio::test]
async fn an_answer_names_the_instance_and_the_peer_it_was_told_of() {
    let reviews = start("reviews", &["--version=v2".to_owned()]).await;
    let clients = Clients::new();
    let reply = clients
        .forged(reviews.address, "reviews:9080", "/reviews/1?page=2")
        .await
        .expect("a reply");
    assert_eq!(reply.status, StatusCode::OK);
    let answer = reply.answer().expect("an answer");
    assert_eq!(answer.by.service, "reviews");
    assert_eq!(answer.by.version, "v2");
    assert_eq!(answer.by.instance, "reviews-1");
    assert_eq!(answer.path, "/reviews/1?page=2");
    assert_eq!(answer.caller(), Some("spiffe://cluster.local/ns/x/sa/root"));
    let reply = clients.get(reviews.address, "reviews", "/reviews/1").await;
    let answer = reply.expect("a reply").answer().expect("an answer");
    assert_eq!(answer.client_cert, None, "no {CLIENT_CERT} was sent");
}

#[tokio::test]
async fn every_other_request_fails_and_is_counted_when_told_so() {
    let catalog = start("catalog", &[]).await;
    let clients = Clients::new();
    let fault = FaultSettings {
        fail_first_of_two: true,
        ..FaultSettings::default()
    };
    clients
        .set_faults(catalog.health, &fault)
        .await
        .expect("set");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = clients.get(catalog.address, "catalog", "/books").await;
        statuses.push(reply.expect("a reply").status.as_u16());
    }
    assert_eq!(statuses, [503, 200, 503, 200]);
    let report = clients.faults(catalog.health).await.expect("a report");
    assert_eq!((report.requests, report.failed), (4, 2));
}

#[tokio::test]
async fn ratings_answer_a_call_and_a_stream() {
    let ratings = start("ratings", &[]).await;
    let (one, many) = clients::ratings(ratings.address, "ratings:9090", 7)
        .await
        .expect("ratings");
    assert_eq!(one.instance, "ratings-1");
    let sequence: Vec<u32> = many.iter().map(|rating| rating.sequence).collect();
    assert_eq!(sequence, [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_web_socket_greets_and_echoes() {
    let reviews = start("reviews", &[]).await;
    let (hello, echo) = clients::web_socket(reviews.address, "reviews:9080/ws", "hi")
        .await
        .expect("an echo");
    assert_eq!(
        (hello.by.service.as_str(), hello.path.as_str()),
        ("reviews", "/ws")
    );
    assert_eq!(echo, "hi");
}

#[tokio::test]
async fn the_ledger_speaks_first_and_echoes_a_megabyte() {
    let ledger = start("ledger", &[]).await;
    let bytes = vec![7; 1_000_000];
    let (greeting, echo) = clients::tcp_echo(ledger.address, &bytes)
        .await
        .expect("an echo");
    assert_eq!(greeting, "220 ledger v1 ledger-1 ready");
    assert!(echo == bytes);
}

#[tokio::test]
async fn the_page_shows_every_service_and_what_fails() {
    let (catalog, reviews) = (start("catalog", &[]).await, start("reviews", &[]).await);
    let (ratings, ledger) = (start("ratings", &[]).await, start("ledger", &[]).await);
    let targets = [
        format!("--catalog={}", catalog.address),
        format!("--reviews={}", reviews.address),
        format!("--ratings={}", ratings.address),
        format!("--ledger={}", ledger.address),
    ];
    let storefront = start("storefront", &targets).await;
    let clients = Clients::new();
    let fault = FaultSettings {
        fail_percent: 100,
        ..FaultSettings::default()
    };
    clients
        .set_faults(reviews.health, &fault)
        .await
        .expect("set");
    let reply = clients.get(storefront.address, "shop", "/").await;
    let page = reply.expect("a reply").answer().expect("a page").content;
    assert_eq!(page["catalog"]["answer"]["instance"], json!("catalog-1"));
    assert_eq!(page["reviews"]["status"], json!(503));
    assert_eq!(page["ratings"]["instance"], json!("ratings-1"));
    assert_eq!(page["ledger"]["receipt"], json!("sold 1"));
}

#[test]
fn the_samples_name_every_pod_that_the_tour_needs() {
    let samples = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/samples/bookstore/standalone/pods.yaml"
    );
    let workloads = layout::read(samples.as_ref()).expect("the samples");
    let mut numbers: Vec<u8> = workloads.iter().map(|workload| workload.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), workloads.len(), "two pods share an address");
    for name in [
        "storefront-1",
        "catalog-2",
        "catalog-3",
        "reviews-v1-1",
        "ledger-1",
        "crawler-1",
    ] {
        assert!(
            workloads.iter().any(|workload| workload.name == name),
            "{name}"
        );
    }
}

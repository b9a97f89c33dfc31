use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    operator::Operator,
    stage::{Stage, condition, eventually, route},
};

const BOUND: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_route_becomes_a_document_and_a_status_within_a_second() {
    let stage = Stage::enter("serving").await;
    let operator = Operator::lead(&stage, "serving-operator").await;
    // The first full lowering is through when the service has its document.
    stage.until_says("reviews", "9080", BOUND).await;

    let mut documents = Vec::new();
    let mut statuses = Vec::new();
    for edit in 0..6 {
        let mark = format!("edit-{edit}");
        let started = Instant::now();
        stage.route("reviews", "reviews", &mark).await;
        stage.until_says("reviews", &mark, BOUND).await;
        documents.push(started.elapsed());
        stage
            .until_ready("VirtualRoute", "reviews", "True", BOUND)
            .await;
        statuses.push(started.elapsed());
    }
    operator.assert_runs();
    println!("VirtualRoute → ConfigMap: {documents:?}");
    println!("VirtualRoute → status:    {statuses:?}");
    for (what, mut took) in [("ConfigMap", documents), ("status", statuses)] {
        took.sort_unstable();
        let median = took[took.len() / 2];
        println!("median until the {what}: {median:?}");
        assert!(
            median < Duration::from_secs(1),
            "VirtualRoute → {what}: {took:?}"
        );
    }
}

#[tokio::test]
async fn one_invalid_object_leaves_the_others_served_and_says_why() {
    let stage = Stage::enter("quarantine").await;
    stage.service("ratings").await;
    let _operator = Operator::lead(&stage, "quarantine-operator").await;
    stage.route("good", "reviews", "stays-served").await;
    stage.route("turns-bad", "ratings", "last-good").await;
    stage.until_says("reviews", "stays-served", BOUND).await;
    stage.until_says("ratings", "last-good", BOUND).await;

    // What no schema can tell: a regular expression that does not compile.
    let mut bad = route("ratings", "never-served");
    bad["http"][0]["matches"][0]["path"] = json!({"type": "Regex", "value": "/items/("});
    stage.weft("VirtualRoute", "turns-bad", bad).await;
    let (status, _) = stage
        .until_ready("VirtualRoute", "turns-bad", "False", BOUND)
        .await;
    let ready = condition(&status, "Ready");
    let message = ready["message"].as_str().unwrap();
    assert!(
        message.contains("spec.http[0].matches[0].path.value")
            && message.contains("unclosed group"),
        "the message must name the field and what is wrong with it: {ready}"
    );
    assert_eq!(ready["reason"], "Invalid", "{ready}");

    // A target that does not exist is another object's problem, and only its own.
    stage
        .weft(
            "AuthPolicy",
            "nobody",
            json!({"targetRefs": [{"kind": "Service", "name": "absent"}]}),
        )
        .await;
    let (status, _) = stage
        .until_ready("AuthPolicy", "nobody", "False", BOUND)
        .await;
    let ready = condition(&status, "Ready");
    assert_eq!(ready["reason"], "TargetNotFound", "{ready}");
    assert!(
        ready["message"].as_str().unwrap().contains("absent"),
        "{ready}"
    );

    // Everything else goes on, and goes on changing.
    stage
        .until_ready("VirtualRoute", "good", "True", BOUND)
        .await;
    stage.route("good", "reviews", "served-after").await;
    stage.until_says("reviews", "served-after", BOUND).await;
    stage
        .until_ready("VirtualRoute", "good", "True", BOUND)
        .await;
    let ratings = stage
        .document(&stage.service_document("ratings"))
        .await
        .expect("ratings is served as before");
    assert!(
        ratings.contains("last-good") && !ratings.contains("never-served"),
        "what was last good stays in force: {ratings}"
    );

    // Mended, it is served.
    stage.route("turns-bad", "ratings", "mended").await;
    stage.until_says("ratings", "mended", BOUND).await;
    stage
        .until_ready("VirtualRoute", "turns-bad", "True", BOUND)
        .await;
}

#[tokio::test]
async fn deleting_an_object_withdraws_what_it_said() {
    let stage = Stage::enter("withdrawal").await;
    stage.service("ratings").await;
    let _operator = Operator::lead(&stage, "withdrawal-operator").await;
    stage.route("route", "reviews", "soon-gone").await;
    stage.until_says("reviews", "soon-gone", BOUND).await;

    stage.delete("VirtualRoute", "route").await;
    let name = stage.service_document("reviews");
    let took = eventually("the route is withdrawn", BOUND, || async {
        match stage.document(&name).await {
            Some(text) if !text.contains("soon-gone") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    println!("a deleted VirtualRoute left its document after {took:?}");

    // A service goes with all its documents, and alone.
    stage.delete("Service", "reviews").await;
    let endpoints = format!("endpoints.{}.reviews", stage.namespace);
    eventually("the service's documents are withdrawn", BOUND, || async {
        match (
            stage.document(&name).await,
            stage.document(&endpoints).await,
        ) {
            (None, None) => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
    assert!(
        stage
            .document(&stage.service_document("ratings"))
            .await
            .is_some()
    );
}

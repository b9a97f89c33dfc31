use std::{collections::BTreeMap, time::Duration};

use crate::{operator::Operator, stage::Stage};
use serde_json::json;

const BOUND: Duration = Duration::from_secs(15);

#[tokio::test]
async fn an_unchanged_world_writes_nothing_over_a_restart() {
    let stage = Stage::enter("silence").await;
    stage.service("ratings").await;
    let mut first = Operator::lead(&stage, "silence-first").await;
    stage.route("reviews", "reviews", "unchanged").await;
    stage
        .weft(
            "MeshPolicy",
            "strict",
            json!({"targetRefs": [{"kind": "Namespace"}], "mtls": {"mode": "Strict"}}),
        )
        .await;
    stage
        .weft(
            "AuthPolicy",
            "readers",
            json!({"targetRefs": [{"kind": "Service", "name": "reviews"}],
                   "rules": [{"from": [{"namespaces": ["silence"]}]}]}),
        )
        .await;
    // One that is wrong must not be told so again and again either.
    stage
        .weft(
            "AuthPolicy",
            "nobody",
            json!({"targetRefs": [{"kind": "Service", "name": "absent"}]}),
        )
        .await;
    stage.until_says("reviews", "unchanged", BOUND).await;
    for (kind, name, ready) in [
        ("VirtualRoute", "reviews", "True"),
        ("MeshPolicy", "strict", "True"),
        ("AuthPolicy", "readers", "True"),
        ("AuthPolicy", "nobody", "False"),
    ] {
        stage.until_ready(kind, name, ready, BOUND).await;
    }
    let before = settled(&stage).await;
    first.stop();

    let second = Operator::lead(&stage, "silence-second").await;
    // A change elsewhere goes through the whole of it: once that is told, the restart is over.
    stage.route("probe", "ratings", "probe").await;
    stage.until_says("ratings", "probe", BOUND).await;
    stage
        .until_ready("VirtualRoute", "probe", "True", BOUND)
        .await;
    let mut after = settled(&stage).await;
    second.assert_runs();

    for probe in [
        "virtualroutes silence/probe",
        "ConfigMap weft-config/service.silence.ratings",
    ] {
        assert!(after.remove(probe).is_some(), "no {probe} in {after:?}");
    }
    let mut before = before;
    before.remove("ConfigMap weft-config/service.silence.ratings");
    let written: Vec<_> = after
        .iter()
        .filter(|(name, version)| before.get(*name) != Some(version))
        .collect();
    let gone: Vec<_> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .collect();
    assert!(written.is_empty(), "written again: {written:?}");
    assert!(gone.is_empty(), "removed: {gone:?}");
    assert!(
        before
            .keys()
            .any(|name| name.starts_with("Secret silence/weft-identity-")),
        "identities are part of what stays: {before:?}"
    );
    println!(
        "{} objects kept their resourceVersion over a restart",
        before.len()
    );
}

/// What is written, once nothing has been written for two seconds.
async fn settled(stage: &Stage) -> BTreeMap<String, String> {
    let mut last = stage.written().await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = stage.written().await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the operator goes on writing: {last:?}");
}

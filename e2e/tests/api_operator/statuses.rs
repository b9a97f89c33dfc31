use std::time::Duration;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{
    argocd,
    kstatus::{self, Status},
    operator::Operator,
    stage::{KINDS, Stage, condition, full_name, route},
};

const BOUND: Duration = Duration::from_secs(15);

/// A spec of each kind that can be programmed, another one, and one that never can.
fn specs(kind: &str) -> [Value; 3] {
    match kind {
        "VirtualRoute" => [
            route("reviews", "one"),
            route("reviews", "two"),
            route("absent", "three"),
        ],
        "MeshPolicy" => ["1s", "2s", "3s"].map(|request| {
            let name = if request == "3s" { "absent" } else { "reviews" };
            json!({"targetRefs": [{"kind": "Service", "name": name}], "timeouts": {"request": request}})
        }),
        _ => ["GET", "POST", "PUT"].map(|method| {
            let name = if method == "PUT" { "absent" } else { "reviews" };
            json!({"targetRefs": [{"kind": "Service", "name": name}], "rules": [{"to": [{"methods": [method]}]}]})
        }),
    }
}

/// What kstatus computes of an object as it is stored. Argo CD, by the Lua that ships, says the
/// same in its own words.
async fn kstatus(stage: &Stage, kind: &str) -> (Status, DynamicObject) {
    let object = stage.of_kind(kind).get("watched").await.unwrap();
    let value = serde_json::to_value(&object).unwrap();
    let status = kstatus::compute(&value);
    let (health, message) = argocd::health(&value);
    let expected = match status {
        Status::Current => "Healthy",
        Status::Failed => "Degraded",
        Status::InProgress | Status::Terminating => "Progressing",
    };
    assert_eq!(health, expected, "{kind}, {message}: {value}");
    assert!(!message.is_empty(), "{kind}: {value}");
    (status, object)
}

#[tokio::test]
async fn kstatus_and_argo_cd_compute_progress_health_and_failure_for_all_three_kinds() {
    let stage = Stage::enter("kstatus").await;

    // Nobody has looked yet.
    for (kind, _) in KINDS {
        let [first, ..] = specs(kind);
        stage.weft(kind, "watched", first).await;
        let (status, object) = kstatus(&stage, kind).await;
        assert_eq!(status, Status::InProgress, "new {kind}: {:?}", object.data);
    }

    let mut operator = Operator::lead(&stage, "kstatus-first").await;
    for (kind, _) in KINDS {
        stage.until_ready(kind, "watched", "True", BOUND).await;
        let (status, object) = kstatus(&stage, kind).await;
        assert_eq!(status, Status::Current, "{kind}: {:?}", object.data);
        assert_well_formed(&object);
    }

    // A change that nobody has looked at yet.
    operator.stop();
    for (kind, _) in KINDS {
        let [_, second, _] = specs(kind);
        stage.weft(kind, "watched", second).await;
        let (status, object) = kstatus(&stage, kind).await;
        assert_eq!(
            status,
            Status::InProgress,
            "changed {kind}: {:?}",
            object.data
        );
    }

    let _operator = Operator::lead(&stage, "kstatus-second").await;
    for (kind, _) in KINDS {
        stage.until_ready(kind, "watched", "True", BOUND).await;
        let (status, object) = kstatus(&stage, kind).await;
        assert_eq!(status, Status::Current, "{kind}: {:?}", object.data);

        let [.., never] = specs(kind);
        stage.weft(kind, "watched", never).await;
        stage.until_ready(kind, "watched", "False", BOUND).await;
        let (status, object) = kstatus(&stage, kind).await;
        assert_eq!(status, Status::Failed, "wrong {kind}: {:?}", object.data);
        assert_well_formed(&object);
        assert_eq!(
            condition(&object.data["status"], "Stalled")["status"],
            "True",
            "{kind}"
        );

        // What was mended is no longer stalled.
        let [first, ..] = specs(kind);
        stage.weft(kind, "watched", first).await;
        stage.until_ready(kind, "watched", "True", BOUND).await;
        let (status, object) = kstatus(&stage, kind).await;
        assert_eq!(status, Status::Current, "mended {kind}: {:?}", object.data);
    }
}

#[tokio::test]
async fn kubectl_wait_ends_when_an_object_is_ready() {
    let stage = Stage::enter("waiting").await;
    let _operator = Operator::lead(&stage, "waiting-operator").await;
    stage.route("watched", "reviews", "waited-for").await;
    let printed = stage
        .plane
        .kubectl()
        .run(&[
            "wait",
            "--for=condition=Ready",
            "--timeout=15s",
            "-n",
            "waiting",
            "virtualroute/watched",
        ])
        .await
        .unwrap();
    assert!(
        printed.stdout.contains("condition met"),
        "{}",
        printed.stdout
    );
    assert!(
        stage
            .document(&stage.service_document("reviews"))
            .await
            .is_some_and(|text| text.contains("waited-for")),
        "Ready was said before the document was stored"
    );
}

#[tokio::test]
async fn kubectl_wait_is_not_taken_in_by_what_was_true_of_an_older_generation() {
    let stage = Stage::enter("stale").await;
    let mut operator = Operator::lead(&stage, "stale-operator").await;
    stage.route("watched", "reviews", "before").await;
    let wait = async |timeout: &str| {
        let timeout = format!("--timeout={timeout}");
        let condition = "--for=condition=Programmed";
        let args = [
            "-n",
            "stale",
            "wait",
            condition,
            &timeout,
            "virtualroute/watched",
        ];
        stage.plane.kubectl().run(&args).await
    };
    wait("15s").await.unwrap();

    // Nobody looks at the next generation: what stands is still true, of the last one.
    operator.stop();
    stage.route("watched", "reviews", "after").await;
    let object = stage.of_kind("VirtualRoute").get("watched").await.unwrap();
    let programmed = condition(&object.data["status"], "Programmed");
    assert_eq!(programmed["status"], "True", "{programmed}");
    let waited = wait("2s").await;
    assert!(waited.is_err(), "{waited:?}");

    let _operator = Operator::lead(&stage, "stale-second").await;
    wait("15s").await.unwrap();
    let object = stage.of_kind("VirtualRoute").get("watched").await.unwrap();
    let programmed = condition(&object.data["status"], "Programmed");
    assert_eq!(
        programmed["observedGeneration"].as_i64(),
        object.metadata.generation
    );
}

/// What every status holds, whatever it says.
fn assert_well_formed(object: &DynamicObject) {
    let name = full_name(object);
    let status = &object.data["status"];
    for condition in status["conditions"].as_array().unwrap() {
        assert_eq!(
            condition["observedGeneration"].as_i64(),
            object.metadata.generation,
            "{name}: {condition}"
        );
        assert!(
            condition["lastTransitionTime"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z')),
            "{name}: {condition}"
        );
    }
    for kind in ["Reconciling", "Stalled"] {
        assert_ne!(
            condition(status, kind)["status"],
            "False",
            "{name}: {kind} is there only while true"
        );
    }
    for field in ["targets", "programmed"] {
        assert!(
            status[field].is_string(),
            "{name}: no {field} to print in {status}"
        );
    }
}

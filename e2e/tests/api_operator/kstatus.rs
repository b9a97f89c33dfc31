//! kstatus (sigs.k8s.io/cli-utils, pkg/kstatus/status: `Compute`, `checkGenericProperties`,
//! `checkGeneration`, `checkReadyCondition`) for kinds without rules of their own.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Terminating,
    InProgress,
    Failed,
    Current,
}

pub(crate) fn compute(object: &Value) -> Status {
    generic(object)
        .or_else(|| ready(object))
        // Nothing known says otherwise.
        .unwrap_or(Status::Current)
}

fn generic(object: &Value) -> Option<Status> {
    let meta = &object["metadata"];
    if meta.get("deletionTimestamp").is_some() {
        return Some(Status::Terminating);
    }
    if let Some(observed) = object["status"]["observedGeneration"].as_i64()
        && Some(observed) != meta["generation"].as_i64()
    {
        return Some(Status::InProgress);
    }
    conditions(object).find_map(|(kind, status)| match (kind, status) {
        ("Reconciling", "True") => Some(Status::InProgress),
        ("Stalled", "True") => Some(Status::Failed),
        _ => None,
    })
}

fn ready(object: &Value) -> Option<Status> {
    conditions(object)
        .find(|(kind, _)| *kind == "Ready")
        .and_then(|(_, status)| match status {
            "True" => Some(Status::Current),
            "False" | "Unknown" => Some(Status::InProgress),
            _ => None,
        })
}

fn conditions(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|condition| Some((condition["type"].as_str()?, condition["status"].as_str()?)))
}

#[test]
fn it_decides_in_the_order_of_the_original() {
    use serde_json::json;
    let object = |generation: i64, status: Value| json!({"metadata": {"generation": generation}, "status": status});
    let with = |kind: &str, status: &str| json!([{"type": kind, "status": status}]);
    for (object, expected) in [
        (object(1, json!({})), Status::Current),
        (
            object(1, json!({"observedGeneration": -1})),
            Status::InProgress,
        ),
        (
            object(
                2,
                json!({"observedGeneration": 1, "conditions": with("Ready", "True")}),
            ),
            Status::InProgress,
        ),
        (
            object(
                2,
                json!({"observedGeneration": 2, "conditions": with("Ready", "True")}),
            ),
            Status::Current,
        ),
        (
            object(
                2,
                json!({"observedGeneration": 2, "conditions": with("Ready", "False")}),
            ),
            Status::InProgress,
        ),
        (
            object(
                2,
                json!({"observedGeneration": 2, "conditions": with("Stalled", "True")}),
            ),
            Status::Failed,
        ),
        (
            object(
                2,
                json!({"observedGeneration": 2, "conditions": with("Stalled", "False")}),
            ),
            Status::Current,
        ),
        (
            object(
                2,
                json!({"observedGeneration": 2, "conditions": with("Reconciling", "True")}),
            ),
            Status::InProgress,
        ),
        (
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            Status::Terminating,
        ),
    ] {
        assert_eq!(compute(&object), expected, "{object}");
    }
}

use axum::extract::State;
use kube::core::{
    DynamicObject,
    admission::{AdmissionResponse, AdmissionReview},
};
use serde_json::{Value, json};
use weft_crds::{Object, Settings, World};

use super::{Answers, Judge, injection};
use crate::{metrics::Metrics, reconcile::questions};

fn review(object: &Value, old: Option<&Value>) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": object["kind"]},
            "resource": {"group": "", "version": "v1", "resource": "x"},
            "name": "x",
            "namespace": "shop",
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": {},
            "object": object,
            "oldObject": old,
            "dryRun": false,
        },
    })
}

/// Judges with a world; `None`: with one that is not complete.
fn judge(world: Option<World>) -> Judge {
    let (asking, mut asked) = questions();
    tokio::spawn(async move {
        while let Some(question) = asked.recv().await {
            question.answer(world.as_ref());
        }
    });
    Judge::new(asking)
}

async fn validated_in(
    world: Option<World>,
    object: &Value,
    old: Option<&Value>,
) -> (AdmissionResponse, &'static str) {
    let review: AdmissionReview<DynamicObject> =
        serde_json::from_value(review(object, old)).unwrap();
    judge(world).answer(&review.try_into().unwrap()).await
}

async fn validated(object: &Value, old: Option<&Value>) -> (AdmissionResponse, &'static str) {
    validated_in(None, object, old).await
}

fn injected(object: &Value) -> (AdmissionResponse, &'static str) {
    let review = serde_json::from_value::<AdmissionReview<_>>(review(object, None)).unwrap();
    let settings = weft_inject::Settings::default();
    injection::answer(&review.try_into().unwrap(), &settings)
}

fn pod(spec: Value, annotations: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": annotations}, "spec": spec})
}

#[test]
fn a_pod_gets_a_patch_that_makes_it_what_weft_inject_makes_it() {
    let pod = pod(
        json!({"containers": [{"name": "a", "image": "a"}]}),
        Value::Null,
    );
    let (response, result) = injected(&pod);
    assert_eq!(result, "injected");
    assert!(response.allowed);
    let patch: json_patch::Patch = serde_json::from_slice(&response.patch.unwrap()).unwrap();
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    let mut offline = pod;
    weft_inject::inject_manifest(&mut offline, &weft_inject::Settings::default()).unwrap();
    assert_eq!(patched, offline);
}

#[test]
fn a_pod_that_stays_outside_is_let_in_with_a_word_about_it() {
    let host = pod(json!({"hostNetwork": true, "containers": []}), json!({}));
    let (response, result) = injected(&host);
    assert_eq!((response.allowed, result), (true, "host_network"));
    assert!(response.patch.is_none());
    assert!(response.warnings.unwrap()[0].contains("host's network"));
    let out = pod(
        json!({"containers": []}),
        json!({"weft.dev/inject": "disabled"}),
    );
    let (response, result) = injected(&out);
    assert_eq!((response.allowed, result), (true, "opted_out"));
    assert!(response.patch.is_none() && response.warnings.is_none());
}

#[test]
fn a_pod_that_cannot_be_in_the_mesh_is_refused_with_the_reason() {
    let pod = pod(
        json!({"containers": []}),
        json!({"weft.dev/proxy-workers": "all"}),
    );
    let (response, result) = injected(&pod);
    assert_eq!((response.allowed, result), (false, "refused"));
    assert!(response.result.message.contains("weft.dev/proxy-workers"));
}

fn route(pattern: &str) -> Value {
    json!({
        "apiVersion": "weft.dev/v1alpha1",
        "kind": "VirtualRoute",
        "metadata": {"name": "r", "namespace": "shop"},
        "spec": {
            "parentRefs": [{"kind": "Service", "name": "reviews"}],
            "http": [{
                "matches": [{"path": {"type": "Regex", "value": pattern}}],
                "backendRefs": [{"name": "reviews", "port": 9080}],
            }],
        },
    })
}

#[tokio::test]
async fn an_object_that_could_not_be_enforced_is_refused_and_the_field_named() {
    let (response, result) = validated(&route("/a[0-9]+"), None).await;
    assert_eq!(
        (response.allowed, result),
        (true, "allowed"),
        "{response:?}"
    );
    let (response, result) = validated(&route("/a["), None).await;
    assert_eq!((response.allowed, result), (false, "refused"));
    let message = &response.result.message;
    assert!(
        message.contains("spec.http[0].matches[0].path"),
        "{message}"
    );
}

fn world(objects: &[Value]) -> World {
    let mut world = World::new(Settings::default());
    for object in objects {
        world.apply(Object::from_manifest(object).unwrap().unwrap());
    }
    world
}

fn service(name: &str, protocol: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"app": name}, "ports": [{"name": protocol, "port": 9080}]},
    })
}

#[tokio::test]
async fn an_object_is_judged_with_what_else_is_there() {
    // A route to nowhere is stored, with a word about it.
    let (response, result) = validated_in(Some(world(&[])), &route("/a"), None).await;
    assert_eq!((response.allowed, result), (true, "warned"));
    let warnings = response.warnings.unwrap();
    assert!(
        warnings.iter().any(|warning| warning
            .starts_with("spec.parentRefs[0]: there is no Service shop/reviews; create it")),
        "{warnings:?}"
    );
    let there = world(&[service("reviews", "http")]);
    let (response, result) = validated_in(Some(there), &route("/a"), None).await;
    assert_eq!((result, response.warnings), ("allowed", None));
    // The port carries no HTTP: nothing that it says could be done.
    let there = world(&[service("reviews", "tcp")]);
    let (response, result) = validated_in(Some(there), &route("/a"), None).await;
    assert_eq!((response.allowed, result), (false, "refused"));
    let message = &response.result.message;
    assert!(
        message.contains("spec.http: no port of the Service"),
        "{message}"
    );
}

#[tokio::test]
async fn what_the_world_s_owner_does_not_answer_in_time_is_stored_with_a_word_about_it() {
    let (asking, _asked) = questions();
    let object = route("/a");
    let review: AdmissionReview<DynamicObject> =
        serde_json::from_value(review(&object, None)).unwrap();
    let judge = Judge::new(asking);
    let started = std::time::Instant::now();
    let (response, result) = judge.answer(&review.try_into().unwrap()).await;
    assert_eq!((response.allowed, result), (true, "late"));
    assert!(response.warnings.unwrap()[0].contains("not judged in time"));
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn what_was_stored_before_may_be_labelled_and_deleted() {
    let bad = route("/a[");
    let mut labelled = bad.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    let (response, result) = validated(&labelled, Some(&bad)).await;
    assert_eq!((response.allowed, result), (true, "warned"));
    assert!(!response.warnings.unwrap().is_empty());
    let mut dying = bad.clone();
    dying["metadata"]["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
    let (response, _) = validated(&dying, Some(&route("/a"))).await;
    assert!(response.allowed);
    // A change for the worse is refused also there.
    let (response, _) = validated(&bad, Some(&route("/a"))).await;
    assert!(!response.allowed);
}

#[tokio::test]
async fn what_is_no_question_is_answered_with_400_and_counted() {
    let metrics = Metrics::new();
    let answers = Answers {
        settings: Default::default(),
        judge: judge(None),
        metrics: metrics.clone(),
    };
    for body in [
        "",
        "{}",
        "[1]",
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#,
    ] {
        let response = super::inject(State(answers.clone()), body.into()).await;
        assert_eq!(response.status(), 400, "{body}");
    }
    let text = metrics.encode();
    let line = r#"weft_operator_admissions_total{webhook="inject",result="not_understood"} 4"#;
    assert!(text.contains(line), "{text}");
}

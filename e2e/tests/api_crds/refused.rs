use std::fmt::Write;

use futures::{StreamExt, stream};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use weft_crds::{Kind, ObjectRef, validate};
use weft_e2e::control_plane::objects::FIELD_MANAGER;

use crate::stage::{api, file, plane};

/// A spec that must be refused, and what the message must hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    field: String,
    fix: String,
    spec: Value,
}

#[tokio::test]
async fn bad_objects_are_refused_with_the_field_and_the_fix() {
    let plane = plane().await;
    let client = plane.client().await.unwrap();
    let cases = cases();
    let count = cases.len();
    assert!(count >= 25, "only {count} kinds of bad object");

    let answers: Vec<(String, Option<String>)> = stream::iter(cases)
        .map(|(kind, case)| {
            let objects = api(client.clone(), "default", kind);
            async move {
                let label = format!("{kind}: {}", case.name);
                let answer = try_apply(&objects, kind, &case.spec).await;
                let wrong = match answer {
                    Ok(()) => Some("accepted".to_owned()),
                    Err(message) => [&case.field, &case.fix]
                        .into_iter()
                        .find(|part| !message.contains(part.as_str()))
                        .map(|part| format!("does not say {part:?}: {message}")),
                };
                (label, wrong)
            }
        })
        .buffer_unordered(8)
        .collect()
        .await;
    let mut report = String::new();
    for (label, wrong) in &answers {
        if let Some(wrong) = wrong {
            writeln!(report, "- {label}\n    {wrong}").unwrap();
        }
    }
    assert!(report.is_empty(), "of {count} bad objects:\n{report}");
    println!("{count} kinds of bad object refused, each with its field and fix");
}

fn cases() -> Vec<(&'static str, Refused)> {
    let mut cases = Vec::new();
    for (kind, path) in [
        ("VirtualRoute", "refused/virtual_route.yaml"),
        ("MeshPolicy", "refused/mesh_policy.yaml"),
        ("AuthPolicy", "refused/auth_policy.yaml"),
    ] {
        let read: Vec<Refused> = serde_saphyr::from_str(&file(path)).unwrap();
        cases.extend(read.into_iter().map(|case| (kind, case)));
    }
    cases
}

/// What is refused in a cluster is refused on a laptop too: standalone, `weft lint`, CI.
#[test]
fn the_same_objects_are_refused_without_an_api_server() {
    for (kind, case) in cases() {
        let reference = ObjectRef {
            kind: Kind::of("weft.dev/v1alpha1", kind).unwrap(),
            namespace: "default".into(),
            name: "refused".into(),
        };
        let problems = validate::manifest(&reference, &object(kind, &case.spec));
        assert!(!problems.is_empty(), "{kind}: {} is accepted", case.name);
        for problem in problems {
            assert!(
                !problem.message.is_empty() && !problem.fix.is_empty(),
                "{kind}: {}: {problem:?}",
                case.name
            );
        }
    }
}

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "weft.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "refused"},
        "spec": spec,
    })
}

/// What the API server says about a spec, as kubectl would ask: unknown fields are errors.
async fn try_apply(objects: &Api<DynamicObject>, kind: &str, spec: &Value) -> Result<(), String> {
    let object = object(kind, spec);
    let mut params = PatchParams::apply(FIELD_MANAGER)
        .force()
        .validation_strict();
    params.dry_run = true;
    match objects
        .patch("refused", &params, &Patch::Apply(&object))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("no answer for {kind}: {error}"),
    }
}

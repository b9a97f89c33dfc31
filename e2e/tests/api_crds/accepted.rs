use std::path::Path;

use serde_json::{Value, json};

use crate::stage::{api, file, plane};

#[tokio::test]
async fn what_the_api_promises_is_accepted_and_comes_back_as_written() {
    let plane = plane().await;
    plane.create_namespace("accepted", &[]).await.unwrap();
    let client = plane.client().await.unwrap();
    for path in [
        "accepted/virtual_route.yaml",
        "accepted/mesh_policy.yaml",
        "accepted/auth_policy.yaml",
    ] {
        let text = file(path);
        let printed = plane
            .kubectl()
            .run_with_input(
                &["apply", "--server-side", "-n", "accepted", "-f", "-"],
                &text,
            )
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(printed.stderr, "", "{path}");
        for document in text.split("\n---\n") {
            let written: Value = serde_saphyr::from_str(document).unwrap();
            let kind = written["kind"].as_str().unwrap();
            let name = written["metadata"]["name"].as_str().unwrap();
            let stored = api(client.clone(), "accepted", kind)
                .get(name)
                .await
                .unwrap();
            let lost = missing(&written["spec"], &stored.data["spec"], "spec");
            assert!(lost.is_empty(), "{kind} {name} lost {lost:?}");
            assert_eq!(
                stored.data["status"]["observedGeneration"],
                json!(-1),
                "{kind} {name}: a new object must say that nobody has looked at it"
            );
        }
    }
}

/// The fields of `written` that `stored` lacks or holds otherwise; defaults may be added.
fn missing(written: &Value, stored: &Value, at: &str) -> Vec<String> {
    match (written, stored) {
        (Value::Object(written), Value::Object(stored)) => written
            .iter()
            .flat_map(|(key, value)| {
                missing(
                    value,
                    stored.get(key).unwrap_or(&Value::Null),
                    &format!("{at}.{key}"),
                )
            })
            .collect(),
        (Value::Array(written), Value::Array(stored)) if written.len() == stored.len() => written
            .iter()
            .zip(stored)
            .enumerate()
            .flat_map(|(index, (written, stored))| {
                missing(written, stored, &format!("{at}[{index}]"))
            })
            .collect(),
        (written, stored) if written == stored => Vec::new(),
        _ => vec![format!("{at}: {written} became {stored}")],
    }
}

#[tokio::test]
async fn the_samples_apply_without_a_warning() {
    let plane = plane().await;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/bookstore");
    let printed = plane
        .kubectl()
        .run(&["apply", "--server-side", "-k", &samples.to_string_lossy()])
        .await
        .unwrap();
    assert_eq!(printed.stderr, "");
    for kind in [
        "virtualroute",
        "meshpolicy",
        "authpolicy",
        "service",
        "deployment",
    ] {
        assert!(
            printed.stdout.contains(kind),
            "no {kind} in {}",
            printed.stdout
        );
    }
}

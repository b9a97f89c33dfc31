//! The three kinds on a real API server: they install, they refuse what is wrong with a message
//! that helps, they accept what is right, and kubectl shows them well.

use std::{fmt::Write, fs, path::Path, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use weft_e2e::control_plane::{ControlPlane, objects::FIELD_MANAGER};

const KINDS: [&str; 3] = ["VirtualRoute", "MeshPolicy", "AuthPolicy"];

async fn plane() -> &'static ControlPlane {
    let plane = ControlPlane::shared().await.unwrap();
    plane.install_crds().await.unwrap();
    plane
}

fn api(client: Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("weft.dev", "v1alpha1", kind);
    let plural = match kind.kind.as_str() {
        "VirtualRoute" => "virtualroutes",
        "MeshPolicy" => "meshpolicies",
        _ => "authpolicies",
    };
    Api::namespaced_with(
        client,
        namespace,
        &ApiResource::from_gvk_with_plural(&kind, plural),
    )
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/api_crds")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn definitions(client: &Client) -> Vec<CustomResourceDefinition> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut found = Vec::new();
    for plural in ["virtualroutes", "meshpolicies", "authpolicies"] {
        found.push(crds.get(&format!("{plural}.weft.dev")).await.unwrap());
    }
    found
}

#[tokio::test]
async fn the_definitions_install_and_a_second_apply_changes_nothing() {
    // A control plane of its own: what is looked at here must not be applied by others meanwhile.
    let plane = ControlPlane::start().await.unwrap();
    let first = plane.install_crds().await.unwrap();
    assert_eq!(first.stderr, "", "the API server warns");
    assert_eq!(first.stdout.lines().count(), 3, "{}", first.stdout);

    let client = plane.client().await.unwrap();
    let before = definitions(&client).await;
    for definition in &before {
        let conditions = definition.status.clone().unwrap_or_default().conditions;
        for condition in conditions.unwrap_or_default() {
            let good = matches!(condition.type_.as_str(), "Established" | "NamesAccepted");
            assert_eq!(
                condition.status == "True",
                good,
                "{}: {}: {:?}",
                definition.name_any(),
                condition.type_,
                condition.message
            );
        }
    }

    let second = plane.install_crds().await.unwrap();
    assert_eq!(second.stderr, "");
    let after = definitions(&client).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.metadata.generation, after.metadata.generation);
        assert_eq!(
            before.resource_version(),
            after.resource_version(),
            "{} was written again",
            before.name_any()
        );
    }
}

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
    let mut cases = Vec::new();
    for (kind, path) in [
        ("VirtualRoute", "refused/virtual_route.yaml"),
        ("MeshPolicy", "refused/mesh_policy.yaml"),
        ("AuthPolicy", "refused/auth_policy.yaml"),
    ] {
        let read: Vec<Refused> = serde_saphyr::from_str(&file(path)).unwrap();
        cases.extend(read.into_iter().map(|case| (kind, case)));
    }
    let count = cases.len();
    assert!(count >= 25, "only {count} kinds of bad object");

    let answers: Vec<(String, Option<String>)> = stream::iter(cases)
        .map(|(kind, case)| {
            let objects = api(client.clone(), "default", kind);
            async move {
                let label = format!("{kind}: {}", case.name);
                let answer = try_apply(&objects, kind, "refused", &case.spec).await;
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

/// What the API server says about a spec, as kubectl would ask: unknown fields are errors.
async fn try_apply(
    objects: &Api<DynamicObject>,
    kind: &str,
    name: &str,
    spec: &Value,
) -> Result<(), String> {
    let object = json!({
        "apiVersion": "weft.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    let mut params = PatchParams::apply(FIELD_MANAGER)
        .force()
        .validation_strict();
    params.dry_run = true;
    match objects.patch(name, &params, &Patch::Apply(&object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("no answer for {kind}: {error}"),
    }
}

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
async fn kubectl_get_prints_the_columns() {
    let plane = plane().await;
    plane.create_namespace("columns", &[]).await.unwrap();
    let client = plane.client().await.unwrap();
    let policies = api(client, "columns", "MeshPolicy");
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "weft.dev/v1alpha1",
        "kind": "MeshPolicy",
        "metadata": {"name": "strict"},
        "spec": {"targetRefs": [{"kind": "Service", "name": "reviews"}], "mtls": {"mode": "Strict"}},
    }))
    .unwrap();
    policies
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let status = json!({"status": {
        "observedGeneration": 1,
        "targets": "1/1",
        "programmed": "12/12",
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Programmed", "message": "",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    }});
    policies
        .patch_status("strict", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();

    for name in ["meshpolicies", "meshpolicy", "mpol"] {
        let printed = plane
            .kubectl()
            .run(&["get", name, "-n", "columns"])
            .await
            .unwrap();
        let rows: Vec<Vec<&str>> = printed
            .stdout
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows[0],
            ["NAME", "READY", "REASON", "TARGETS", "PROGRAMMED", "AGE"]
        );
        assert_eq!(
            rows[1][..5],
            ["strict", "True", "Programmed", "1/1", "12/12"],
            "{}",
            printed.stdout
        );
    }
}

#[tokio::test]
async fn short_names_and_categories_find_all_three_kinds() {
    let plane = plane().await;
    plane.create_namespace("names", &[]).await.unwrap();
    let objects = r#"
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: one, namespace: names}
spec: {parentRefs: [{kind: Service, name: a}], http: [{backendRefs: [{name: a, port: 80}]}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: two, namespace: names}
spec: {targetRefs: [{kind: Namespace}], mtls: {mode: Strict}}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: three, namespace: names}
spec: {targetRefs: [{kind: Namespace}]}
"#;
    let kubectl = plane.kubectl();
    kubectl
        .run_with_input(&["apply", "--server-side", "-f", "-"], objects)
        .await
        .unwrap();
    for names in ["vr,mpol,apol", "weft", "mesh"] {
        let printed = kubectl
            .run(&["get", names, "-n", "names", "-o", "name"])
            .await
            .unwrap();
        let mut found: Vec<&str> = printed.stdout.lines().collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "authpolicy.weft.dev/three",
                "meshpolicy.weft.dev/two",
                "virtualroute.weft.dev/one"
            ],
            "kubectl get {names}"
        );
    }
}

#[tokio::test]
async fn kubectl_explain_describes_fields_with_units_and_defaults() {
    let plane = plane().await;
    for (field, says) in [
        ("virtualroutes.spec.http.retry", "retry budget"),
        ("virtualroutes.spec.http.timeouts.request", "duration"),
        ("meshpolicies.spec.loadBalancing.algorithm", "Default"),
        ("mpol.spec.connectionPool.connectTimeout", "Default 1s"),
        ("authpolicies.spec.action", "Deny"),
        ("apol.spec.rules.to.paths", "normalisation"),
    ] {
        let printed = explain(plane, field).await;
        // kubectl breaks lines where it likes.
        let text = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(says), "{field}: no {says:?} in {printed}");
    }
}

/// The API server publishes a new kind's schema a moment after it serves the kind.
async fn explain(plane: &ControlPlane, field: &str) -> String {
    let kubectl = plane.kubectl();
    let asked = async {
        loop {
            match kubectl.run(&["explain", field]).await {
                Ok(printed) if !printed.stdout.contains("<empty>") => return printed.stdout,
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    match tokio::time::timeout(Duration::from_secs(30), asked).await {
        Ok(printed) => printed,
        Err(_) => panic!("{field}: {:?}", kubectl.run(&["explain", field]).await),
    }
}

#[tokio::test]
async fn every_field_has_a_description_and_every_list_map_and_string_a_bound() {
    let plane = plane().await;
    let client = plane.client().await.unwrap();
    let mut wanting = Vec::new();
    for (definition, kind) in definitions(&client).await.iter().zip(KINDS) {
        for version in &definition.spec.versions {
            let schema = version.schema.as_ref().unwrap();
            let root = schema.open_api_v3_schema.as_ref().unwrap();
            for (name, field) in root.properties.iter().flatten() {
                if name == "spec" || name == "status" {
                    walk(field, &format!("{kind}.{name}"), &mut wanting);
                }
            }
        }
    }
    assert!(wanting.is_empty(), "{}", wanting.join("\n"));
}

fn walk(schema: &JSONSchemaProps, at: &str, wanting: &mut Vec<String>) {
    if schema.description.as_deref().unwrap_or("").is_empty() {
        wanting.push(format!("{at} has no description"));
    }
    bounds(schema, at, wanting);
    for (name, field) in schema.properties.iter().flatten() {
        walk(field, &format!("{at}.{name}"), wanting);
    }
}

/// CEL's cost, and what a hostile object can cost the operator, both come from missing bounds.
fn bounds(schema: &JSONSchemaProps, at: &str, wanting: &mut Vec<String>) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        JSONSchemaPropsOrArray as Items, JSONSchemaPropsOrBool as Additional,
    };
    let spec = at.split('.').nth(1) == Some("spec");
    match schema.type_.as_deref() {
        Some("array") => {
            if spec && schema.max_items.is_none() {
                wanting.push(format!("{at} has no maxItems"));
            }
            if let Some(Items::Schema(item)) = &schema.items {
                bounds(item, &format!("{at}[]"), wanting);
                for (name, field) in item.properties.iter().flatten() {
                    walk(field, &format!("{at}[].{name}"), wanting);
                }
            }
        }
        Some("object") => {
            if let Some(Additional::Schema(value)) = &schema.additional_properties {
                if spec && schema.max_properties.is_none() {
                    wanting.push(format!("{at} has no maxProperties"));
                }
                bounds(value, &format!("{at}{{}}"), wanting);
            }
        }
        Some("string") if spec && schema.enum_.is_none() && schema.max_length.is_none() => {
            wanting.push(format!("{at} has no maxLength"));
        }
        _ => {}
    }
}

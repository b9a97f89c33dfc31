use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;
use weft_e2e::control_plane::ControlPlane;

use crate::stage::{api, plane};

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

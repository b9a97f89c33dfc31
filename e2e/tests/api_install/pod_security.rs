use serde_json::{Value, json};
use weft_install::Values;

use crate::stage::Stage;

/// The API server checks pods against the label of their namespace; this asks it about the pods
/// that the Deployments would make.
#[tokio::test]
async fn the_control_plane_and_the_gateway_run_in_namespaces_that_enforce_restricted() {
    let stage = Stage::enter().await;
    let mut values = Values::defaults().unwrap();
    values.set("gateway.enabled", "true").unwrap();
    let objects = weft_install::install(&values).unwrap();
    stage.apply(&objects).await;

    let namespaces: Vec<&Value> = of_kind(&objects, "Namespace");
    assert_eq!(namespaces.len(), 3);
    for namespace in namespaces {
        let labels = &namespace["metadata"]["labels"];
        assert_eq!(
            labels["pod-security.kubernetes.io/enforce"], "restricted",
            "{namespace}"
        );
    }
    let deployments = of_kind(&objects, "Deployment");
    assert_eq!(deployments.len(), 2);
    for deployment in deployments {
        let mut pod = deployment["spec"]["template"].clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!("asked");
        pod["metadata"]["namespace"] = deployment["metadata"]["namespace"].clone();
        assert_eq!(ask(&stage, &pod).await, Ok(()));
        // It is a question that can be answered no.
        pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
        let refused = ask(&stage, &pod).await.unwrap_err();
        assert!(refused.contains("violates PodSecurity"), "{refused}");
    }
}

/// As docs/install.md says it.
#[tokio::test]
async fn a_pod_of_the_mesh_needs_a_privileged_namespace_for_its_init_container_alone() {
    let stage = Stage::enter().await;
    for level in ["privileged", "baseline", "restricted"] {
        let labels = [("pod-security.kubernetes.io/enforce", level)];
        stage.plane.create_namespace(level, &labels).await.unwrap();
    }
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "asked"},
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "app", "image": "app",
                "securityContext": {
                    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    });
    weft_inject::inject_manifest(&mut pod, &weft_inject::Settings::default()).unwrap();
    let in_namespace = async |level: &str, pod: &Value| {
        let mut pod = pod.clone();
        pod["metadata"]["namespace"] = json!(level);
        ask(&stage, &pod).await
    };
    assert_eq!(in_namespace("privileged", &pod).await, Ok(()));
    for level in ["baseline", "restricted"] {
        let refused = in_namespace(level, &pod).await.unwrap_err();
        assert!(
            refused.contains("NET_ADMIN") && refused.contains("weft-init"),
            "{level}: {refused}"
        );
        assert!(!refused.contains("\"weft-proxy\""), "{level}: {refused}");
    }
    // The proxy keeps to `restricted`.
    let init = pod["spec"]["initContainers"].as_array_mut().unwrap();
    init.retain(|container| container["name"] == "weft-proxy");
    assert_eq!(init.len(), 1);
    assert_eq!(in_namespace("restricted", &pod).await, Ok(()));
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

async fn ask(stage: &Stage, pod: &Value) -> Result<(), String> {
    let args = ["create", "--dry-run=server", "-f", "-"];
    let kubectl = stage.plane.kubectl();
    match kubectl.run_with_input(&args, &pod.to_string()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

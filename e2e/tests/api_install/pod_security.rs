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

//! `weft inject` makes of a manifest what the webhook makes of the pod.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    pod,
    stage::{Stage, program},
};

/// Pods of many shapes: what their owners leave out, the API server fills in before it asks.
fn pods() -> Vec<(&'static str, Value, Value)> {
    let probed = json!({
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 7,
        "initContainers": [
            {"name": "first", "image": "app"},
            {"name": "log", "image": "app", "restartPolicy": "Always",
             "livenessProbe": {"httpGet": {"path": "/log", "port": 7000}}},
        ],
        "containers": [
            {"name": "app", "image": "app",
             "ports": [{"name": "web", "containerPort": 8080}],
             "startupProbe": {"grpc": {"port": 9000, "service": "shop"}},
             "livenessProbe": {"httpGet": {"path": "/healthz", "port": "web", "scheme": "HTTPS",
                "httpHeaders": [{"name": "x-probe", "value": "yes"}]}, "timeoutSeconds": 3},
             "readinessProbe": {"tcpSocket": {"port": "web"}}},
            {"name": "side", "image": "app", "livenessProbe": {"exec": {"command": ["true"]}},
             "readinessProbe": {"httpGet": {"port": 80, "host": "192.0.2.1"}}},
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    });
    let wishes = json!({
        "weft.dev/exclude-inbound-ports": "9090,9100-9110",
        "weft.dev/exclude-outbound-cidrs": "169.254.169.254/32",
        "weft.dev/proxy-memory-limit": "1Gi",
        "weft.dev/access-log": "off",
        "other": "kept",
    });
    let simple = json!({"containers": [{"name": "app", "image": "app"}]});
    let mut tokenless = simple.clone();
    tokenless["automountServiceAccountToken"] = json!(false);
    vec![
        ("simple", json!({}), simple.clone()),
        ("probed", json!({}), probed),
        ("wishes", wishes, simple.clone()),
        ("tokenless", json!({}), tokenless),
        ("out", json!({"weft.dev/inject": "disabled"}), simple),
    ]
}

pub(crate) async fn offline_makes_the_same_pods(stage: &Stage) {
    for (name, annotations, spec) in pods() {
        let name = format!("same-{name}");
        let by_webhook = pod("meshed", &name, annotations.clone(), spec.clone());
        let by_webhook = stage.create(&by_webhook).await.unwrap();
        let manifest = pod("plain", &name, annotations, spec);
        let offline = stage.create(&injected(stage, &manifest)).await.unwrap();
        assert_eq!(comparable(by_webhook), comparable(offline), "{name}");
    }
}

/// `weft inject -f FILE`, with what the operator was started with.
fn injected(stage: &Stage, manifest: &Value) -> Value {
    let file = stage.plane.dir().join("injected.json");
    fs::write(&file, manifest.to_string()).unwrap();
    let output = Command::new(program("weft"))
        .args([
            "inject",
            "-o",
            "json",
            "--image=registry.example/weft-proxy:test",
            "-f",
        ])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let mut manifests: Vec<Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    manifests.remove(0)
}

/// Without what differs between any two pods: the name of the token's volume, and where it stands
/// among the volumes.
fn comparable(pod: Value) -> (Value, Value) {
    let text = pod["spec"].to_string();
    let random = text
        .split('"')
        .find(|word| word.starts_with("kube-api-access-"))
        .unwrap_or("kube-api-access-?");
    let mut spec: Value = serde_json::from_str(&text.replace(random, "kube-api-access")).unwrap();
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.sort_by_key(|volume| volume["name"].as_str().map(str::to_owned));
    }
    (pod["metadata"]["annotations"].clone(), spec)
}

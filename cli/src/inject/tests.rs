use weft_inject::Settings;

use super::inject;

const STREAM: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec: {template: {spec: {hostNetwork: true, containers: [{name: agent, image: agent}]}}}
";

#[test]
fn a_stream_comes_out_in_order_with_proxies_where_pods_are_made() {
    let (manifests, notes) = inject(STREAM, &Settings::default()).unwrap();
    let kinds: Vec<_> = manifests
        .iter()
        .map(|m| m["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Service", "Deployment", "DaemonSet"]);
    let pod = &manifests[1]["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][1]["name"], "weft-proxy");
    assert!(manifests[2]["spec"]["template"]["spec"]["initContainers"].is_null());
    assert_eq!(notes, ["DaemonSet agent is left alone: host_network"]);
}

#[test]
fn what_was_injected_stays_as_it_is() {
    let (once, _) = inject(STREAM, &Settings::default()).unwrap();
    let text: String = once
        .iter()
        .map(|manifest| format!("---\n{}", serde_saphyr::to_string(manifest).unwrap()))
        .collect();
    let (twice, _) = inject(&text, &Settings::default()).unwrap();
    assert_eq!(once, twice);
}

#[test]
fn a_manifest_that_cannot_be_injected_is_named() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: bad, annotations: {weft.dev/proxy-workers: many}}, spec: {containers: []}}";
    let error = inject(text, &Settings::default()).unwrap_err();
    assert!(
        error.contains("Pod bad") && error.contains("weft.dev/proxy-workers"),
        "{error}"
    );
}

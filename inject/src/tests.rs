use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::{InjectError, Outcome, Reason, Settings, inject, inject_manifest};

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("the test's YAML parses")
}

fn injected(text: &str) -> Value {
    let mut manifest = yaml(text);
    let outcome = inject_manifest(&mut manifest, &Settings::default()).expect("it can be injected");
    assert!(
        matches!(outcome, Some(Outcome::Patched(_))),
        "it was left alone: {outcome:?}"
    );
    manifest
}

fn refused(text: &str) -> InjectError {
    let mut manifest = yaml(text);
    let before = manifest.clone();
    let error = inject_manifest(&mut manifest, &Settings::default()).expect_err("it is refused");
    assert_eq!(manifest, before, "a refused manifest was changed");
    error
}

const POD: &str = include_str!("../tests/golden/pod.yaml");
const EXPECTED: &str = include_str!("../tests/golden/pod.injected.yaml");

#[test]
fn a_pod_becomes_exactly_the_golden_one() {
    let pod = injected(POD);
    if std::env::var_os("WEFT_BLESS").is_some() {
        let text = serde_saphyr::to_string(&pod).unwrap();
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/pod.injected.yaml"
        );
        std::fs::write(path, text).unwrap();
        return;
    }
    assert_eq!(
        pod,
        yaml(EXPECTED),
        "if this is meant, run again with WEFT_BLESS=1 and read the diff"
    );
}

#[test]
fn what_comes_out_is_a_pod_to_kubernetes_types_without_an_unknown_field() {
    let pod = injected(POD);
    let typed: Pod = serde_json::from_value(pod.clone()).expect("a Pod");
    assert_eq!(
        serde_json::to_value(typed).unwrap(),
        pod,
        "a field was not understood"
    );
}

#[test]
fn a_pod_that_has_a_proxy_is_left_alone() {
    let mut pod = injected(POD);
    let before = pod.clone();
    let outcome = inject_manifest(&mut pod, &Settings::default()).unwrap();
    assert_eq!(outcome, Some(Outcome::Left(Reason::HasProxy)));
    assert_eq!(pod, before);
}

#[test]
fn the_annotation_alone_is_no_proxy() {
    let pod = injected(
        "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {weft.dev/injected: 'true'}}, spec: {containers: [{name: a, image: a}]}}",
    );
    assert_eq!(pod["spec"]["initContainers"][1]["name"], "weft-proxy");
}

#[test]
fn the_mesh_comes_before_whatever_else_is_initialised() {
    let pod = injected(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {initContainers: [{name: migrate, image: m}], containers: [{name: a, image: a}]}}",
    );
    let names: Vec<_> = pod["spec"]["initContainers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| container["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["weft-init", "weft-proxy", "migrate"]);
}

#[test]
fn who_opts_out_or_is_on_the_hosts_network_is_left_alone() {
    for (spec, annotations, reason) in [
        (
            "{containers: []}",
            "{weft.dev/inject: disabled}",
            Reason::OptedOut,
        ),
        (
            "{hostNetwork: true, containers: []}",
            "{}",
            Reason::HostNetwork,
        ),
        (
            "{os: {name: windows}, containers: []}",
            "{}",
            Reason::NotLinux,
        ),
    ] {
        let mut pod = yaml(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a, annotations: {annotations}}}, spec: {spec}}}"
        ));
        let before = pod.clone();
        let outcome = inject_manifest(&mut pod, &Settings::default()).unwrap();
        assert_eq!(outcome, Some(Outcome::Left(reason)));
        assert_eq!(pod, before);
    }
    assert!(Reason::HostNetwork.warning().is_some());
    assert!(Reason::OptedOut.warning().is_none());
}

#[test]
fn everything_that_makes_pods_is_injected_in_its_template_and_nothing_else_is_touched() {
    let template = "{metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}";
    let kinds = [
        (
            "apps/v1",
            "Deployment",
            "/spec/template",
            format!("{{replicas: 3, template: {template}}}"),
        ),
        (
            "apps/v1",
            "StatefulSet",
            "/spec/template",
            format!("{{template: {template}}}"),
        ),
        (
            "apps/v1",
            "DaemonSet",
            "/spec/template",
            format!("{{template: {template}}}"),
        ),
        (
            "batch/v1",
            "Job",
            "/spec/template",
            format!("{{template: {template}}}"),
        ),
        (
            "batch/v1",
            "CronJob",
            "/spec/jobTemplate/spec/template",
            format!("{{jobTemplate: {{spec: {{template: {template}}}}}}}"),
        ),
    ];
    for (version, kind, at, spec) in kinds {
        let text =
            format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: a}}, spec: {spec}}}");
        let mut manifest = injected(&text);
        let pod = manifest.pointer_mut(at).expect(at);
        assert_eq!(
            pod["spec"]["initContainers"][1]["restartPolicy"], "Always",
            "{kind}"
        );
        assert_eq!(
            pod["metadata"]["annotations"]["weft.dev/injected"], "true",
            "{kind}"
        );
        *pod = yaml(template);
        assert_eq!(
            manifest,
            yaml(&text),
            "{kind}: something outside the template changed"
        );
    }
    let mut service = yaml("{apiVersion: v1, kind: Service, metadata: {name: a}}");
    assert_eq!(
        inject_manifest(&mut service, &Settings::default()),
        Ok(None)
    );
}

#[test]
fn fields_of_a_newer_kubernetes_survive() {
    let pod = injected(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {fromTheFuture: {x: 1}, initContainers: [{name: i, image: i, alsoNew: 2}], containers: [{name: a, image: a, new: 3}]}}",
    );
    assert_eq!(pod["spec"]["fromTheFuture"], json!({"x": 1}));
    assert_eq!(pod["spec"]["initContainers"][2]["alsoNew"], 2);
    assert_eq!(pod["spec"]["containers"][0]["new"], 3);
}

#[test]
fn probes_go_through_the_proxy_which_knows_what_to_ask() {
    let pod = injected(
        "
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: web
    image: a
    ports: [{name: health, containerPort: 8081}]
    livenessProbe: {httpGet: {path: /healthz, port: health, scheme: HTTPS, httpHeaders: [{name: X-A, value: b}]}, timeoutSeconds: 3, periodSeconds: 7}
    readinessProbe: {tcpSocket: {port: 6379}}
    startupProbe: {grpc: {port: 50051, service: s}}
  - name: other
    image: a
    livenessProbe: {exec: {command: ['true']}}
    readinessProbe: {httpGet: {path: /, port: 80, host: example.com}}
    startupProbe: {httpGet: {path: /, port: unknown}}
",
    );
    let web = &pod["spec"]["containers"][0];
    let through = |kind: &str| json!({"path": format!("/app-health/web/{kind}"), "port": 15020, "scheme": "HTTP"});
    assert_eq!(
        web["livenessProbe"],
        json!({"httpGet": through("liveness"), "timeoutSeconds": 3, "periodSeconds": 7})
    );
    assert_eq!(
        web["readinessProbe"],
        json!({"httpGet": through("readiness")})
    );
    assert_eq!(web["startupProbe"], json!({"httpGet": through("startup")}));
    let other = &pod["spec"]["containers"][1];
    assert!(other["livenessProbe"]["exec"].is_object());
    assert_eq!(other["readinessProbe"]["httpGet"]["host"], "example.com");
    assert_eq!(other["startupProbe"]["httpGet"]["port"], "unknown");

    let env = pod["spec"]["initContainers"][1]["env"].as_array().unwrap();
    let asks = env
        .iter()
        .find(|env| env["name"] == "WEFT_PROBES")
        .expect("WEFT_PROBES");
    let asks: Value = serde_json::from_str(asks["value"].as_str().unwrap()).unwrap();
    assert_eq!(
        asks,
        json!({
            "web/liveness": {"httpGet": {"path": "/healthz", "port": 8081, "scheme": "HTTPS", "httpHeaders": [{"name": "X-A", "value": "b"}]}, "timeoutSeconds": 3},
            "web/readiness": {"tcpSocket": {"port": 6379}, "timeoutSeconds": 1},
            "web/startup": {"grpc": {"port": 50051, "service": "s"}, "timeoutSeconds": 1},
        })
    );
}

#[test]
fn a_pod_may_keep_its_probes() {
    let pod = injected(
        "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {weft.dev/rewrite-probes: 'false'}}, spec: {containers: [{name: a, image: a, livenessProbe: {httpGet: {path: /x, port: 1}}}]}}",
    );
    assert_eq!(
        pod["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"],
        "/x"
    );
}

#[test]
fn annotations_reach_the_capture_and_the_proxy() {
    let pod = injected(
        "
apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations:
    weft.dev/exclude-inbound-ports: 9090, 9100-9110
    weft.dev/exclude-outbound-ports: '3306'
    weft.dev/exclude-outbound-cidrs: 10.8.1.2/16
    weft.dev/exclude-uids: '999'
    weft.dev/proxy-cpu: 100m
    weft.dev/proxy-memory-limit: 1Gi
    weft.dev/proxy-workers: '4'
    weft.dev/access-log: 'off'
spec: {terminationGracePeriodSeconds: 65, serviceAccountName: web, containers: [{name: a, image: a}]}
",
    );
    let args = |index: usize| pod["spec"]["initContainers"][index]["args"].to_string();
    for argument in [
        "--exclude-inbound-ports=15020,9090,9100-9110",
        "--exclude-outbound-ports=3306",
        "--exclude-outbound-cidrs=10.8.0.0/16",
        "--exclude-uids=999",
    ] {
        assert!(args(0).contains(argument), "{argument} not in {}", args(0));
    }
    for argument in ["--workers=4", "--access-log=off", "--drain-timeout=60s"] {
        assert!(args(1).contains(argument), "{argument} not in {}", args(1));
    }
    let resources = &pod["spec"]["initContainers"][1]["resources"];
    assert_eq!(resources["requests"]["cpu"], "100m");
    assert_eq!(resources["limits"], json!({"memory": "1Gi"}));
    assert_eq!(
        pod["spec"]["volumes"][0]["secret"]["secretName"],
        "weft-identity-web"
    );
}

#[test]
fn an_annotation_that_means_nothing_refuses_the_pod_and_is_named() {
    for (name, value) in [
        ("weft.dev/inject", "maybe"),
        ("weft.dev/exclude-inbound-ports", "80-"),
        ("weft.dev/exclude-inbound-ports", "0"),
        ("weft.dev/exclude-outbound-ports", "90-80"),
        ("weft.dev/exclude-outbound-cidrs", "10.0.0.0"),
        ("weft.dev/exclude-outbound-cidrs", "fd00::/8"),
        ("weft.dev/exclude-uids", "root"),
        ("weft.dev/proxy-workers", "0"),
        ("weft.dev/proxy-cpu", "lots"),
        ("weft.dev/rewrite-probes", "no"),
    ] {
        let error = refused(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a, annotations: {{{name}: '{value}'}}}}, spec: {{containers: []}}}}"
        ));
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("e.g."), "{text}");
    }
}

#[test]
fn what_would_escape_or_collide_is_refused() {
    let pod =
        |spec: &str| format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {spec}}}");
    let uid = refused(&pod(
        "{containers: [{name: a, image: a, securityContext: {runAsUser: 1337}}]}",
    ));
    assert!(matches!(uid, InjectError::ProxyUid { .. }), "{uid}");
    let uid = refused(&pod(
        "{securityContext: {runAsUser: 1337}, containers: [{name: a, image: a}]}",
    ));
    assert!(matches!(uid, InjectError::ProxyUid { .. }), "{uid}");
    let port = refused(&pod(
        "{containers: [{name: a, image: a, ports: [{containerPort: 15006}]}]}",
    ));
    assert!(
        matches!(port, InjectError::PortTaken { port: 15006, .. }),
        "{port}"
    );
    let volume = refused(&pod(
        "{volumes: [{name: weft-token, emptyDir: {}}], containers: []}",
    ));
    assert!(matches!(volume, InjectError::NameTaken { .. }), "{volume}");
    let shape = refused(&pod("{containers: 7}"));
    assert!(matches!(shape, InjectError::Shape(_)), "{shape}");
}

#[test]
fn the_application_never_mounts_the_key() {
    let pod = injected(POD);
    for container in pod["spec"]["containers"].as_array().unwrap() {
        let mounts = container["volumeMounts"].to_string();
        assert!(!mounts.contains("weft-"), "{mounts}");
    }
    let none: Pod = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    assert!(inject(&none, &Settings::default()).is_err());
}

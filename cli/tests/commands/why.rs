use std::fs;

use serde_json::Value;

use crate::weft;

#[test]
fn why_shows_the_route_the_split_and_the_rule_that_allows() {
    let run = weft::run([
        "why",
        "bookstore/storefront",
        "bookstore/reviews:9080",
        "GET",
        "/reviews/1",
        "-f",
        &weft::bookstore(),
    ]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for part in [
        "bookstore/reviews/split",
        "bookstore/reviews:9080{version=v1}  80 %",
        "bookstore/reviews-viewers/storefront-reads",
        "reaches the application",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn why_names_the_policy_and_the_rule_that_deny() {
    let run = weft::run([
        "why",
        "bookstore/crawler",
        "bookstore/reviews:9080",
        "GET",
        "/reviews/1",
        "-f",
        &weft::bookstore(),
        "-o",
        "json",
    ]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(answer["outcome"]["status"], 403);
    assert_eq!(
        answer["outcome"]["deniedBy"],
        "bookstore/no-crawlers/crawler"
    );
}

#[test]
fn why_says_which_condition_of_a_missed_rule_failed_first() {
    let run = weft::run([
        "why",
        "bookstore/storefront",
        "bookstore/reviews:9080",
        "GET",
        "/reviews/1",
        "-f",
        &weft::bookstore(),
    ]);
    let missed = run
        .stdout
        .lines()
        .find(|line| line.contains("bookstore/reviews/preview"))
        .unwrap_or_default();
    assert!(
        missed.contains("missed") && missed.contains("x-group"),
        "{}",
        run.stdout
    );
}

#[test]
fn why_takes_headers_into_account() {
    let run = weft::run([
        "why",
        "bookstore/storefront",
        "bookstore/reviews:9080",
        "GET",
        "/reviews/1",
        "--header",
        "x-group=beta",
        "-f",
        &weft::bookstore(),
        "-o",
        "json",
    ]);
    let answer: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(answer["outcome"]["route"], "bookstore/reviews/preview");
}

#[test]
fn why_sees_a_plaintext_caller_refused_under_strict() {
    let run = weft::run([
        "why",
        "-",
        "bookstore/reviews:9080",
        "GET",
        "/reviews/1",
        "-f",
        &weft::bookstore(),
        "-o",
        "yaml",
    ]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("status: 403"), "{}", run.stdout);
}

#[test]
fn why_follows_a_tcp_connection() {
    let run = weft::run([
        "why",
        "bookstore/storefront",
        "bookstore/ledger:7000",
        "-f",
        &weft::bookstore(),
    ]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("bookstore/ledger/all"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("reaches the application"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_proposal_that_changes_the_verdict_exits_1_and_shows_both() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("deny.yaml"),
        "\
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: closed, namespace: bookstore}
spec:
  targetRefs: [{kind: Namespace, name: bookstore}]
  action: Deny
  rules:
  - name: everyone
",
    )
    .expect("a manifest");
    let arguments = |path: &str| {
        weft::run([
            "why",
            "bookstore/storefront",
            "bookstore/reviews:9080",
            "GET",
            path,
            "-f",
            &weft::bookstore(),
            "--proposed",
            weft::text(directory.path()),
        ])
    };
    let run = arguments("/reviews/1");
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("≠ verdict"), "{}", run.stdout);
    let marked = |mark: &str, rule: &str| {
        let mut lines = run.stdout.lines();
        lines.any(|line| line.contains(mark) && line.contains(rule))
    };
    assert!(
        marked("+ proposed", "bookstore/closed/everyone"),
        "the step that only the proposal has: {}",
        run.stdout
    );
    assert!(
        !marked("+ proposed", "bookstore/reviews/") && !marked("- now", "bookstore/reviews/"),
        "the route's steps are in both: {}",
        run.stdout
    );
    assert!(
        run.stdout.contains("refused by bookstore/closed/everyone"),
        "{}",
        run.stdout
    );
    let run = arguments("/a%2fb");
    assert_eq!(
        run.code, 0,
        "a malformed path stays so: {}{}",
        run.stdout, run.stderr
    );
}

/// As a cluster gives them: a pod with its address, and the slices that name it.
const DUMP: &str = r#"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {weft.dev/inject: enabled}}}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-0, namespace: shop, labels: {app: web}, annotations: {weft.dev/injected: "true"}}
  spec: {serviceAccountName: web, containers: [{name: web, ports: [{containerPort: 8080}]}]}
  status: {podIP: 10.0.3.7, podIPs: [{ip: 10.0.3.7}]}
- apiVersion: v1
  kind: Service
  metadata: {name: SERVICE, namespace: shop}
  spec:
    clusterIP: CLUSTER_IP
    selector: {app: web}
    ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: SERVICE-1, namespace: shop, labels: {kubernetes.io/service-name: SERVICE}}
  addressType: IPv4
  endpoints: [{addresses: [10.0.3.7], conditions: {ready: true}, targetRef: {kind: Pod, name: web-0, namespace: shop}}]
  ports: [{name: http, port: 8080, protocol: TCP}]
- apiVersion: weft.dev/v1alpha1
  kind: VirtualRoute
  metadata: {name: web, namespace: shop}
  spec:
    parentRefs: [{kind: Service, name: SERVICE, port: 80}]
    http: [{name: all, backendRefs: [{name: SERVICE, port: 80}]}]
- apiVersion: weft.dev/v1alpha1
  kind: AuthPolicy
  metadata: {name: viewers, namespace: shop}
  spec:
    targetRefs: [{kind: Namespace, name: shop}]
    action: Allow
    rules: [{name: reads, from: [{serviceAccounts: [shop/storefront]}], to: [{methods: [GET]}]}]
"#;

fn why_pod(cluster_ip: &str, caller: &str, pod: &str) -> (i32, Value) {
    let directory = tempfile::tempdir().expect("a directory");
    let name = if cluster_ip == "None" {
        "members"
    } else {
        "web"
    };
    let dump = DUMP.replace("SERVICE", name);
    let dump = dump.replace("CLUSTER_IP", cluster_ip);
    fs::write(directory.path().join("dump.yaml"), dump).expect("a manifest");
    let manifests = weft::text(directory.path());
    let run = weft::run([
        "why", caller, pod, "GET", "/", "-f", manifests, "-o", "json",
    ]);
    let answer = serde_json::from_str(&run.stdout);
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr));
    (run.code, answer)
}

#[test]
fn why_follows_a_call_to_a_pods_own_address() {
    let (code, answer) = why_pod("10.96.0.10", "shop/storefront", "10.0.3.7:8080");
    let outcome = &answer["outcome"];
    assert_eq!((code, &outcome["status"]), (0, &Value::Null), "{answer:#}");
    assert_eq!(outcome["backends"]["10.0.3.7:8080"], 100.0, "{answer:#}");
    // Past the Service and its routes.
    assert_eq!(outcome["route"], Value::Null, "{answer:#}");
    let steps = outcome["steps"].as_array().expect("steps");
    assert_eq!(steps[0]["phase"], "pod");
    assert_eq!(steps[0]["rule"], "shop/web:80");
    assert!(
        steps.iter().any(|step| step["rule"] == "shop/web"),
        "{answer:#}"
    );

    let (_, answer) = why_pod("10.96.0.10", "shop/crawler", "10.0.3.7:8080");
    assert_eq!(
        answer["outcome"]["deniedBy"], "shop/viewers/-",
        "{answer:#}"
    );
}

#[test]
fn the_routes_of_a_headless_service_hold_for_its_pods() {
    let (_, answer) = why_pod("None", "shop/storefront", "10.0.3.7:8080");
    let outcome = &answer["outcome"];
    assert_eq!(outcome["route"], "shop/web/all", "{answer:#}");
    assert_eq!(outcome["backends"]["10.0.3.7:8080"], 100.0, "{answer:#}");
}

#[test]
fn an_address_outside_the_mesh_is_called_as_it_is() {
    let (code, answer) = why_pod("None", "shop/storefront", "10.0.3.8:8080");
    let outcome = &answer["outcome"];
    assert_eq!((code, &outcome["status"]), (0, &Value::Null), "{answer:#}");
    assert_eq!(outcome["steps"][0]["matched"], false, "{answer:#}");
}

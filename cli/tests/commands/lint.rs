use std::fs;

use serde_json::Value;

use crate::weft;

#[test]
fn the_samples_are_without_findings() {
    let run = weft::run(["lint", "-f", &weft::bookstore()]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("0 errors, 0 warnings"),
        "{}",
        run.stdout
    );
}

#[test]
fn lint_names_file_line_field_and_fix_of_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("route.yaml");
    fs::write(
        &file,
        "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{kind: Service, name: web}]
  http:
  - name: fine
    backendRefs: [{name: web, port: 80}]
  - name: wrong
    matches:
    - path: {type: Exact, value: /x}
    backendRefs:
    - name: nowhere
      port: 80
",
    )
    .expect("a manifest");
    let run = weft::run(["lint", "-f", weft::text(directory.path()), "-o", "json"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let findings: Vec<Value> = serde_json::from_str(&run.stdout).expect("JSON");
    let found = findings
        .iter()
        .find(|finding| finding["code"] == "BackendNotFound")
        .unwrap_or_else(|| panic!("no finding about the backend in {}", run.stdout));
    assert_eq!(found["file"], weft::text(&file));
    let line = found["line"].as_u64().expect("a line");
    assert!((17..=18).contains(&line), "line {line}");
    assert_eq!(found["object"], "VirtualRoute shop/r");
    assert!(
        found["field"]
            .as_str()
            .is_some_and(|field| field.starts_with("spec.http[1].backendRefs[0]")),
        "{found}"
    );
    assert!(
        found["fix"].as_str().is_some_and(|fix| !fix.is_empty()),
        "{found}"
    );
}

#[test]
fn lint_says_what_the_api_server_would_refuse() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("policy.yaml"),
        "\
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: p, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - name: r
    to: [{methods: [get]}]
",
    )
    .expect("a manifest");
    let run = weft::run(["lint", "-f", weft::text(directory.path())]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("upper case"), "{}", run.stdout);
    assert!(run.stdout.contains("policy.yaml:8"), "{}", run.stdout);
}

#[test]
fn lint_survives_a_file_that_is_no_yaml_and_still_reads_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("broken.yaml"), "a: [1,\nb: {").expect("a file");
    fs::write(
        directory.path().join("fine.yaml"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
    )
    .expect("a file");
    let run = weft::run(["lint", "-f", weft::text(directory.path())]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("broken.yaml"), "{}", run.stdout);
    assert!(run.stdout.contains("in 1 object,"), "{}", run.stdout);
}

#[test]
fn lint_says_of_a_yaml_1_1_boolean_that_it_must_be_quoted_and_says_it_once() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("route.yaml"),
        "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{kind: Service, name: web}]
  http:
  - name: y
    matches:
    - headers: [{name: x-flag, type: Exact, value: on}]
    backendRefs: [{name: web, port: 80}]
",
    )
    .expect("a manifest");
    let run = weft::run(["lint", "-f", weft::text(directory.path()), "-o", "json"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let findings: Vec<Value> = serde_json::from_str(&run.stdout).expect("JSON");
    let seen: Vec<_> = findings
        .iter()
        .map(|finding| (finding["line"].as_u64(), finding["fix"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(12), Some("quote it: \"y\"")),
            (Some(14), Some("quote it: \"on\""))
        ],
        "{findings:#?}"
    );
}

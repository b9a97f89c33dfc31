//! The real binary on the sample mesh.

mod weft;

use std::{fs, path::PathBuf};

use serde_json::Value;

fn bookstore() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/samples/bookstore");
    weft::text(&path).to_owned()
}

#[test]
fn the_samples_are_without_findings() {
    let run = weft::run(["lint", "-f", &bookstore()]);
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
fn why_shows_the_route_the_split_and_the_rule_that_allows() {
    let run = weft::run([
        "why",
        "bookstore/storefront",
        "bookstore/reviews:9080",
        "GET",
        "/reviews/1",
        "-f",
        &bookstore(),
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
        &bookstore(),
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
        &bookstore(),
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
        &bookstore(),
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
        &bookstore(),
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
        &bookstore(),
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
            &bookstore(),
            "--proposed",
            weft::text(directory.path()),
        ])
    };
    let run = arguments("/reviews/1");
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("≠ verdict"), "{}", run.stdout);
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

#[test]
fn crds_print_the_three_definitions_as_they_stand_in_config() {
    let run = weft::run(["crds"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/crd");
    for kind in ["virtualroutes", "meshpolicies", "authpolicies"] {
        let file = config.join(format!("{kind}.weft.dev.yaml"));
        let written = fs::read_to_string(file).expect("a generated definition");
        assert!(run.stdout.contains(&written), "{kind} differs");
    }
}

#[test]
fn bad_arguments_exit_2_and_say_what_to_write() {
    let bookstore = bookstore();
    for (arguments, part) in [
        (
            vec![
                "why",
                "storefront",
                "bookstore/reviews",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "namespace/service-account",
        ),
        (
            vec!["why", "a/b", "reviews", "GET", "/", "-f", &*bookstore],
            "namespace/service",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/reviews:x",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "is no port",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/none",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "there is no service",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/none:1",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "there is no",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/reviews:9080",
                "GET",
                "-f",
                &*bookstore,
            ],
            "PATH",
        ),
        (vec!["lint", "-f", "/nowhere/at/all"], "/nowhere/at/all"),
        (vec!["lint"], "--filename"),
    ] {
        let run = weft::run(arguments.iter().copied());
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stdout);
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn output_that_is_no_terminals_holds_no_escapes() {
    let run = weft::run([
        "why",
        "-",
        "bookstore/reviews:9080",
        "GET",
        "/",
        "-f",
        &bookstore(),
    ]);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
}

#[test]
fn the_samples_keep_their_promises() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/samples");
    let run = weft::run(["test", "-f", weft::text(&path)]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("14 cases passed"), "{}", run.stdout);
}

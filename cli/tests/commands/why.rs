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

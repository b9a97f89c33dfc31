//! The corpus against the CLI.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::weft;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/corpus")
}

#[test]
fn weft_test_runs_the_whole_corpus_and_is_content() {
    let run = weft::run(["test", "-f", weft::text(&corpus()), "-o", "json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let files: Vec<Value> = serde_json::from_str(&run.stdout).expect("JSON");
    let cases: usize = files
        .iter()
        .filter_map(|file| file["cases"].as_array())
        .map(Vec::len)
        .sum();
    println!("{cases} cases against the CLI");
    assert!(cases >= 400, "only {cases} cases were run");
}

#[test]
fn a_junit_report_names_every_case() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = directory.path().join("report.xml");
    let file = corpus().join("auth-actions.yaml");
    let run = weft::run([
        "test",
        "-f",
        weft::text(&file),
        "--junit",
        weft::text(&report),
    ]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let xml = fs::read_to_string(&report).expect("a report");
    let written = fs::read_to_string(&file).expect("the case file");
    let cases = written
        .lines()
        .filter(|line| line.starts_with("- {name:"))
        .count();
    assert_eq!(xml.matches("<testcase ").count(), cases);
    assert!(xml.contains("name=\"Deny comes before Allow\""), "{xml}");
}

#[test]
fn a_case_that_does_not_hold_is_told_and_exits_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = corpus().join("world/shop.yaml");
    let file = directory.path().join("wrong_test.yaml");
    fs::write(
        &file,
        format!(
            "include: [{}]\ncall: {{source: {{namespace: shop, serviceAccount: x}}, service: shop/web, port: 80}}\ncases:\n- {{name: a wish, call: {{http: {{path: /}}}}, expect: {{status: 404}}}}\n",
            world.display()
        ),
    )
    .expect("a case file");
    let run = weft::run(["test", "-f", weft::text(&file)]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("✗ a wish")
            && run
                .stdout
                .contains("status: expected 404, got the application"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_case_file_with_a_misspelt_field_is_refused_with_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("wrong_test.yaml");
    fs::write(&file, "cases:\n- {name: x, expects: {status: 404}}\n").expect("a case file");
    let run = weft::run(["test", "-f", weft::text(&file)]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("expects"), "{}", run.stderr);
}

#[test]
fn a_directory_without_cases_is_refused_with_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = weft::run(["test", "-f", weft::text(directory.path())]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("no case file"), "{}", run.stderr);
}

#[test]
fn the_samples_keep_their_promises() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/samples");
    let run = weft::run(["test", "-f", weft::text(&path)]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("14 cases passed"), "{}", run.stdout);
}

#[test]
fn cases_may_be_written_as_json() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("cases_test.json"),
        r#"{
  "manifests": "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{name: http, port: 80}]}\n",
  "cases": [{
    "name": "a service without routes is reached",
    "call": {"service": "shop/web", "port": 80, "http": {"method": "GET", "path": "/"}},
    "expect": {"route": "none"}
  }]
}"#,
    )
    .expect("a case file");
    // An object that only speaks of cases is none.
    fs::write(
        directory.path().join("object.json"),
        r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cases"}}"#,
    )
    .expect("a manifest");
    let run = weft::run(["test", "-f", weft::text(directory.path()), "-v"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("1 case passed"), "{}", run.stdout);
}

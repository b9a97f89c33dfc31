//! The corpus against the library: every case, from manifests to verdict.

use std::path::Path;

use weft_crds::corpus::{CaseFile, case_files};

/// The corpus may grow; it may not melt away unnoticed.
const AT_LEAST: usize = 400;

fn corpus() -> Vec<CaseFile> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/corpus");
    case_files(&path).expect("the corpus parses")
}

#[test]
fn every_case_of_the_corpus_holds() {
    let mut cases = 0;
    let mut failures = Vec::new();
    for file in corpus() {
        let report = file.run().expect("the manifests parse");
        cases += report.results.len();
        for result in &report.results {
            for failure in &result.failures {
                failures.push(format!(
                    "{}: {}: {failure}",
                    file.path.file_name().unwrap_or_default().display(),
                    result.name
                ));
            }
        }
    }
    println!(
        "{cases} cases against the library, {} expectations not met",
        failures.len()
    );
    assert!(cases >= AT_LEAST, "only {cases} cases were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nearly_every_rule_of_the_corpus_is_exercised() {
    let (mut rules, mut idle) = (0, Vec::new());
    for file in corpus() {
        let report = file.run().expect("the manifests parse");
        rules += report.coverage.rules();
        idle.extend(report.coverage.unexercised().map(ToOwned::to_owned));
    }
    // What is left are rules that stand there to lose.
    assert!(
        idle.len() * 10 < rules,
        "{} of {rules} rules are exercised by no case: {idle:?}",
        idle.len()
    );
}

#[test]
fn case_names_are_unique_within_a_file() {
    for file in corpus() {
        let mut names: Vec<_> = file.cases.iter().map(|case| &case.name).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(
            names.len(),
            all,
            "{} names a case twice",
            file.path.display()
        );
    }
}

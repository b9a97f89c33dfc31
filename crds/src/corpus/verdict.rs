use std::{collections::BTreeMap, path::PathBuf};

use weft_engine::{
    journey::{Outcome, follow},
    problem::Severity,
};

use super::{CaseFile, CorpusError, Coverage, Expect, Scene};

/// Shares are told to a tenth of a percent.
const SHARE_TOLERANCE: f64 = 0.1;

/// What became of one case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Each expectation that was not met. Empty: the case passed.
    pub failures: Vec<String>,
    /// What the engine said, where it could follow the call.
    pub outcome: Option<Outcome>,
}

/// What became of a file's cases.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Each case, in order.
    pub results: Vec<CaseResult>,
    /// The rules of the file's manifests, and which of them a case exercised.
    pub coverage: Coverage,
}

impl FileReport {
    /// The number of cases that failed.
    pub fn failed(&self) -> usize {
        self.results
            .iter()
            .filter(|result| !result.failures.is_empty())
            .count()
    }
}

impl CaseFile {
    /// Runs the cases against the engine.
    pub fn run(&self) -> Result<FileReport, CorpusError> {
        let scene = Scene::of(self)?;
        let mut coverage = Coverage::of(scene.documents.values());
        let mut results = self.manifest_result(&scene).into_iter().collect::<Vec<_>>();
        results.extend(self.cases.iter().map(|case| {
            match follow(&scene.documents, &scene.servers, &case.call) {
                Ok(outcome) => {
                    coverage.record(&outcome);
                    CaseResult {
                        name: case.name.clone(),
                        failures: mismatches(&case.expect, &outcome),
                        outcome: Some(outcome),
                    }
                }
                Err(error) => CaseResult {
                    name: case.name.clone(),
                    failures: vec![error.to_string()],
                    outcome: None,
                },
            }
        }));
        Ok(FileReport {
            path: self.path.clone(),
            results,
            coverage,
        })
    }
}

/// A result of its own where the manifests have other errors than they are meant to have.
const MANIFESTS: &str = "the manifests have the errors that they are meant to have, and no other";

impl CaseFile {
    fn manifest_result(&self, scene: &Scene) -> Option<CaseResult> {
        let errors: Vec<String> = scene
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        let unexpected = errors
            .iter()
            .filter(|error| !self.problems.iter().any(|part| error.contains(part)))
            .map(|error| format!("problem: expected none, got {error}"));
        let missing = self
            .problems
            .iter()
            .filter(|part| !errors.iter().any(|error| error.contains(*part)))
            .map(|part| format!("problem: expected `{part}`, got none"));
        let failures: Vec<_> = unexpected.chain(missing).collect();
        (!failures.is_empty()).then(|| CaseResult {
            name: MANIFESTS.to_owned(),
            failures,
            outcome: None,
        })
    }
}

/// Each expectation that an outcome does not meet, as `field: expected …, got …`.
pub fn mismatches(expect: &Expect, outcome: &Outcome) -> Vec<String> {
    let mut failures = Vec::new();
    let mut check = |field: &str, expected: String, got: String| {
        if expected != got {
            failures.push(format!("{field}: expected {expected}, got {got}"));
        }
    };
    let status = |status: Option<u16>| {
        status.map_or_else(|| "the application".to_owned(), |status| status.to_string())
    };
    check("status", status(expect.status), status(outcome.status));
    if let Some(route) = &expect.route {
        let got = outcome.route.as_deref().unwrap_or("none");
        check("route", route.clone(), got.to_owned());
    }
    if expect.denied_by.is_some() || expect.status != Some(403) {
        let name = |by: &Option<String>| by.clone().unwrap_or_else(|| "nobody".to_owned());
        check(
            "deniedBy",
            name(&expect.denied_by),
            name(&outcome.denied_by),
        );
    }
    check(
        "wouldDeny",
        expect.would_deny.join(", "),
        outcome.would_deny.join(", "),
    );
    for (field, expected, got) in [
        ("path", &expect.path, &outcome.path),
        ("location", &expect.location, &outcome.location),
    ] {
        if let Some(expected) = expected {
            check(
                field,
                expected.clone(),
                got.clone().unwrap_or_else(|| "none".to_owned()),
            );
        }
    }
    if let Some(expected) = &expect.backends
        && !same_shares(expected, &outcome.backends)
    {
        failures.push(format!(
            "backends: expected {expected:?}, got {:?}",
            outcome.backends
        ));
    }
    failures
}

fn same_shares(expected: &BTreeMap<String, f64>, got: &BTreeMap<String, f64>) -> bool {
    expected.len() == got.len()
        && expected.iter().all(|(backend, share)| {
            got.get(backend)
                .is_some_and(|got| (got - share).abs() <= SHARE_TOLERANCE)
        })
}

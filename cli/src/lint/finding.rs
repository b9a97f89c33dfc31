use std::collections::BTreeMap;

use serde::Serialize;
use weft_crds::{Object, manifests::Location};
use weft_engine::problem::Problem;

use super::yaml;
use crate::manifests::Lines;

/// A problem and the place in a file that it comes from.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Finding {
    /// The file; absent for what no manifest declares.
    pub(super) file: Option<String>,
    /// The line, from 1.
    pub(super) line: Option<usize>,
    /// What is wrong.
    #[serde(flatten)]
    pub(super) problem: Problem,
}

impl Finding {
    /// `file:line`, or `-`.
    pub(super) fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => "-".to_owned(),
        }
    }
}

/// Gives each problem its place, in order of files and lines.
pub(super) fn findings(problems: Vec<Problem>, objects: &[(Object, Location)]) -> Vec<Finding> {
    let places: BTreeMap<String, &Location> = objects
        .iter()
        .map(|(object, location)| (object.reference().to_string(), location))
        .collect();
    let mut lines = Lines::default();
    let mut findings: Vec<_> = problems
        .into_iter()
        .map(|problem| {
            let place = places
                .get(&problem.object)
                .map(|location| lines.of(location, &problem.field));
            let problem = match &place {
                Some(place) => yaml::explain(problem, &lines.text(place)),
                None => problem,
            };
            let (file, line) = match place {
                Some(place) => (Some(place.file), Some(place.line)),
                None => place_in_name(&problem.object),
            };
            Finding {
                file,
                line,
                problem,
            }
        })
        .collect();
    findings.sort();
    findings.dedup();
    told_once(findings)
}

/// What a file says of an object, the World says again with what stands instead: that one counts.
fn told_once(findings: Vec<Finding>) -> Vec<Finding> {
    let again = |finding: &Finding| {
        findings.iter().any(|other| {
            let (this, that) = (&finding.problem, &other.problem);
            (&this.object, &this.field, this.code) == (&that.object, &that.field, that.code)
                && that
                    .message
                    .strip_prefix(&this.message)
                    .is_some_and(|more| more.starts_with(" (generation "))
        })
    };
    let keep: Vec<bool> = findings.iter().map(|finding| !again(finding)).collect();
    let kept = findings.into_iter().zip(keep);
    kept.filter_map(|(finding, keep)| keep.then_some(finding))
        .collect()
}

/// A document that could not be read has no name; its problem is filed under `file:line`.
fn place_in_name(object: &str) -> (Option<String>, Option<usize>) {
    match object.rsplit_once(':') {
        Some((file, line)) => match line.parse() {
            Ok(line) => (Some(file.to_owned()), Some(line)),
            Err(_) => (None, None),
        },
        None => (None, None),
    }
}

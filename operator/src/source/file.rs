use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use weft_crds::{Object, ObjectRef, manifests};
use weft_engine::problem::{Code, Problem, Severity};

use super::walk::Stamp;

/// The largest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A file that was cut to nothing is believed empty when it has stayed so for this long: an
/// editor that truncates and then writes is between the two for less.
const SETTLE: Duration = Duration::from_millis(150);

/// A file of manifests, as it was when it was last read.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) stamp: Option<Stamp>,
    pub(super) objects: BTreeSet<ObjectRef>,
    pub(super) problems: Vec<Problem>,
    /// It was not there at the last look; it is believed gone at the next.
    pub(super) missing: bool,
}

impl File {
    /// Whether it was just cut to nothing, and is likely to be written to.
    pub(super) fn is_cut(&self, stamp: &Stamp) -> bool {
        stamp.length == 0 && is_young(stamp) && !self.objects.is_empty()
    }

    /// Reads the file; what was in it and cannot be read now stays as it was.
    pub(super) fn read(&mut self, path: &Path, name: &str, length: u64) -> Vec<Object> {
        let text = if length > MOST_BYTES {
            Err(format!("it is larger than {} MiB", MOST_BYTES >> 20))
        } else {
            fs::read_to_string(path).map_err(|error| error.to_string())
        };
        let parsed = match text {
            Ok(text) => manifests::parse(&text, name),
            Err(message) => {
                self.problems = vec![problem(
                    name,
                    format!("the file cannot be read: {message}"),
                    "mend it; what it said before stays in force until then",
                )];
                return Vec::new();
            }
        };
        self.problems = parsed.problems;
        let before = std::mem::take(&mut self.objects);
        let mut objects = Vec::with_capacity(parsed.objects.len());
        for (object, location) in parsed.objects {
            let reference = object.reference();
            if !is_named_well(&reference) {
                self.problems.push(problem(
                    &location.to_string(),
                    format!("`{reference}` is not a Kubernetes name"),
                    "use lower-case letters, digits, hyphens and dots in name and namespace",
                ));
            } else if !self.objects.insert(reference.clone()) {
                self.problems.push(said_twice(&reference, name, name));
            } else {
                objects.push(object);
            }
        }
        if parsed.incomplete {
            for kept in before {
                if self.objects.insert(kept.clone()) {
                    self.problems.push(problem(
                        &kept.to_string(),
                        format!("it was in {name}, a part of which cannot be read now"),
                        "mend the file; the object's last good meaning stays in force until then",
                    ));
                }
            }
        }
        objects
    }
}

/// An RFC 1123 subdomain, as the API server would have it: these become file names.
fn is_named_well(reference: &ObjectRef) -> bool {
    let well = |text: &str| {
        text.len() <= 253
            && text.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
    };
    well(&reference.name) && (reference.namespace.is_empty() || well(&reference.namespace))
}

fn is_young(stamp: &Stamp) -> bool {
    stamp.modified.is_some_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age < SETTLE)
    })
}

/// Reads one object of a file.
pub(super) fn find(path: &Path, reference: &ObjectRef) -> Option<Object> {
    let text = fs::read_to_string(path).ok()?;
    manifests::parse(&text, "")
        .objects
        .into_iter()
        .map(|(object, _)| object)
        .find(|object| object.reference() == *reference)
}

pub(super) fn said_twice(object: &ObjectRef, here: &str, first: &str) -> Problem {
    problem(
        &object.to_string(),
        format!("{here} declares it again; {first} did before and wins"),
        "remove one of the two",
    )
}

pub(super) fn problem(object: &str, message: String, fix: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        code: Code::Invalid,
        object: object.to_owned(),
        field: String::new(),
        message,
        fix: fix.to_owned(),
    }
}

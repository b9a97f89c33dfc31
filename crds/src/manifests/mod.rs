//! Objects from YAML files: multi-document, each document on its own.

mod split;

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;
use weft_engine::problem::{Code, Problem, Severity};

use crate::object::Object;

/// Where a document begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its objects, in order; kinds that the mesh does not look at are left out. Refused ones
    /// are [`Object::Invalid`].
    pub objects: Vec<(Object, Location)>,
    /// What is wrong with it: documents that are no YAML or no object, and why an object was
    /// refused.
    pub problems: Vec<Problem>,
    /// Some document could not be read far enough to know which object it is. Whoever watches
    /// the file must not take a missing object for a deleted one then.
    pub incomplete: bool,
}

/// Reads the documents of a file. A document that cannot be read is a problem naming file and
/// line, and hides none of the others.
pub fn parse(text: &str, file: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for (line, document) in split::documents(text) {
        let location = Location {
            file: file.to_owned(),
            line,
        };
        match serde_saphyr::from_str::<Option<Value>>(document) {
            Ok(None | Some(Value::Null)) => {}
            Ok(Some(value)) => parsed.take(&value, &location),
            Err(error) => {
                let within = error
                    .location()
                    .and_then(|at| usize::try_from(at.line()).ok())
                    .unwrap_or(1);
                let location = Location {
                    line: line + within.saturating_sub(1),
                    ..location
                };
                let message = error.to_string();
                parsed.refuse(&location, message.lines().next().unwrap_or("is no YAML"));
            }
        }
    }
    parsed
}

impl Parsed {
    /// A List stands for its items.
    fn take(&mut self, value: &Value, location: &Location) {
        if let Some(items) = value.get("items").and_then(Value::as_array)
            && value
                .get("kind")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.ends_with("List"))
        {
            for item in items {
                self.take(item, location);
            }
            return;
        }
        match Object::from_manifest(value) {
            Ok(None) => {}
            Ok(Some(object)) => {
                if let Object::Invalid(invalid) = &object {
                    self.problems.extend(invalid.problems.iter().cloned());
                }
                self.objects.push((object, location.clone()));
            }
            Err(error) => self.refuse(location, &error.to_string()),
        }
    }

    fn refuse(&mut self, location: &Location, why: &str) {
        self.incomplete = true;
        let (message, fix) = why
            .split_once("; ")
            .unwrap_or((why, "correct the document; the others are not affected"));
        self.problems.push(Problem {
            severity: Severity::Error,
            code: Code::Invalid,
            object: location.to_string(),
            field: String::new(),
            message: message.to_owned(),
            fix: fix.to_owned(),
        });
    }
}

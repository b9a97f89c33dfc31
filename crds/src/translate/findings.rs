//! Collecting problems of one object.

use weft_engine::problem::{Code, Problem, Severity};

use crate::object::ObjectRef;

/// Problems of one object.
pub(crate) struct Findings<'p> {
    object: String,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Findings<'p> {
    pub(crate) fn new(object: &ObjectRef, problems: &'p mut Vec<Problem>) -> Self {
        Self {
            object: object.to_string(),
            problems,
        }
    }

    /// A value that means nothing.
    pub(crate) fn invalid(
        &mut self,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Severity::Error, Code::Invalid, field, message, fix);
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        code: Code,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem {
            severity,
            code,
            object: self.object.clone(),
            field: field.into(),
            message: message.into(),
            fix: fix.into(),
        });
    }
}

//! Collecting problems while one object is compiled.

use crate::problem::{Code, Problem, Severity};

/// Problems of one object.
pub(crate) struct Findings<'p> {
    object: String,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Findings<'p> {
    /// For the object that `id` (`namespace/name`, or `namespace/name/rule`) names.
    pub(crate) fn new(kind: &str, id: &str, problems: &'p mut Vec<Problem>) -> Self {
        let mut parts = id.splitn(3, '/');
        let object = match (parts.next(), parts.next()) {
            (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
            _ => format!("{kind} {id}"),
        };
        Self { object, problems }
    }

    /// A value that cannot be enforced.
    pub(crate) fn invalid(
        &mut self,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem {
            severity: Severity::Error,
            code: Code::Invalid,
            object: self.object.clone(),
            field: field.into(),
            message: message.into(),
            fix: fix.into(),
        });
    }
}

/// The rule's part of a route rule's id: `namespace/route/rule` → `rule`.
pub(crate) fn rule_name(id: &str) -> &str {
    id.splitn(3, '/').nth(2).unwrap_or(id)
}

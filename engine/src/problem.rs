//! Problems: the one vocabulary that the webhook, the status, `weft lint` and events speak.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Works, but probably not as meant.
    Warning,
    /// Cannot be enforced; the part concerned fails closed.
    Error,
}

/// A stable code per kind of problem; also the reason of the status condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    /// A value that the schema lets through but that means nothing.
    Invalid,
    /// `targetRefs` or `parentRefs` name something that does not exist.
    TargetNotFound,
    /// A backend that does not exist, a port that it does not have, or a subset that no endpoint
    /// is in.
    BackendNotFound,
    /// A condition that the port's protocol does not carry.
    UnenforceableOnProtocol,
    /// Two objects say different things and this one lost.
    Conflicted,
    /// Another policy's field is more specific (or older).
    Overridden,
    /// A rule that no request can reach.
    Unreachable,
    /// A rule partly hidden by an earlier one.
    Shadowed,
    /// A rule that lets in more than it seems to.
    TooWide,
    /// A policy selects pods that have no proxy to enforce it.
    OutsideMesh,
}

/// What is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The kind of problem.
    pub code: Code,
    /// `Kind namespace/name` of the object, or the document's name.
    pub object: String,
    /// The field's path, e.g. `spec.http[0].matches[1].path.value`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    /// What is wrong and what to do, for who knows which object it is about.
    pub fn said(&self) -> String {
        let place = match &*self.field {
            "" => String::new(),
            field => format!("{field}: "),
        };
        format!("{place}{}; {}", self.message, self.fix)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}; {}",
            self.object, self.field, self.message, self.fix
        )
    }
}

use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse},
};
use weft_crds::{Object, validate};
use weft_engine::problem::{Problem, Severity};

use super::Answer;

/// The API server's bound on the warnings of one answer is 4 KiB; beyond, it cuts them off.
const MOST_WARNINGS: usize = 8;

/// Refused: what could not be enforced. Warned of: what looks unmeant.
pub(super) fn answer(request: &AdmissionRequest<DynamicObject>) -> Answer {
    let response = AdmissionResponse::from(request);
    let Some(object) = &request.object else {
        return (response, "allowed");
    };
    // What is being deleted is not enforced any more, and a finalizer must be removable.
    if object.metadata.deletion_timestamp.is_some() {
        return (response, "allowed");
    }
    let problems = problems_of(object);
    let (errors, warnings): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| problem.severity == Severity::Error);
    // An object of an earlier version may not stand up to this one: who only labels it is not
    // asked to mend it. Its status says what is wrong.
    let is_as_before = request
        .old_object
        .as_ref()
        .is_some_and(|old| old.data.get("spec") == object.data.get("spec"));
    if !errors.is_empty() && !is_as_before {
        let reasons: Vec<_> = errors.iter().map(told).collect();
        return (response.deny(reasons.join("; ")), "refused");
    }
    let mut response = response;
    let told: Vec<_> = errors
        .iter()
        .chain(&warnings)
        .take(MOST_WARNINGS)
        .map(told)
        .collect();
    if told.is_empty() {
        return (response, "allowed");
    }
    response.warnings = Some(told);
    (response, "warned")
}

fn problems_of(object: &DynamicObject) -> Vec<Problem> {
    let read = serde_json::to_value(object)
        .map_err(|error| error.to_string())
        .and_then(|value| Object::from_manifest(&value).map_err(|error| error.to_string()));
    match read {
        Ok(Some(object)) => validate::object(&object),
        Ok(None) => Vec::new(),
        Err(message) => vec![Problem {
            severity: Severity::Error,
            code: weft_engine::problem::Code::Invalid,
            object: object.metadata.name.clone().unwrap_or_default(),
            field: String::new(),
            message,
            fix: "see `kubectl explain`".to_owned(),
        }],
    }
}

fn told(problem: &Problem) -> String {
    if problem.field.is_empty() {
        format!("{} ({})", problem.message, problem.fix)
    } else {
        format!("{}: {} ({})", problem.field, problem.message, problem.fix)
    }
}

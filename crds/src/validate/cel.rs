//! The CEL rules of the installed schema, run here as the API server runs them.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;

use crate::{definitions::definitions, object::Kind, translate::Findings};

/// The schema of one kind and its compiled rules.
pub(super) struct Checks {
    pub(super) schema: Value,
    rules: CompiledSchema,
    validator: Validator,
}

/// The checks of a kind; `None` for kinds that are not ours. Compiled once per thread: what CEL
/// compiles to is not `Sync`.
pub(super) fn checks(kind: Kind) -> Option<Rc<Checks>> {
    thread_local! {
        static CHECKS: RefCell<HashMap<Kind, Rc<Checks>>> = RefCell::default();
    }
    CHECKS.with_borrow_mut(|known| {
        if let Some(checks) = known.get(&kind) {
            return Some(Rc::clone(checks));
        }
        let schema = schema(kind)?;
        let checks = Rc::new(Checks {
            rules: compile_schema(&schema),
            schema,
            validator: Validator::new(),
        });
        known.insert(kind, Rc::clone(&checks));
        Some(checks)
    })
}

/// The schema that is installed for a kind.
pub(super) fn schema(kind: Kind) -> Option<Value> {
    if !kind.is_own() {
        return None;
    }
    let definition = definitions()
        .into_iter()
        .find(|definition| definition.spec.names.kind == kind.to_string())?;
    let version = definition.spec.versions.into_iter().next()?;
    serde_json::to_value(version.schema?.open_api_v3_schema?).ok()
}

/// Runs the rules.
pub(super) fn check(checks: &Checks, value: &Value, findings: &mut Findings<'_>) {
    // `status` is the operator's; and `default` marks it for kstatus only.
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    let Err(errors) = checks
        .validator
        .validate_compiled(&checks.rules, &value, None)
    else {
        return;
    };
    for error in errors.as_slice() {
        let (message, fix) = match (&error.kind, error.message.split_once("; ")) {
            (ErrorKind::ValidationFailure, Some((message, fix))) => (message, fix),
            _ => (&*error.message, "see the field's description"),
        };
        findings.invalid(error.field_path.clone(), message, fix);
    }
}

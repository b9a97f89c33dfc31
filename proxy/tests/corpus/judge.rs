//! What came back against what was expected.

use weft_crds::corpus::{Case, Expect};

use super::{client::Seen, stage::Stage};

/// Each expectation that was not met.
pub(crate) fn mismatches(case: &Case, seen: &Seen, stage: &Stage) -> Vec<String> {
    let expect = &case.expect;
    let mut failures = match expect.status {
        Some(_) if case.call.http.is_none() => closed(seen),
        Some(status) => answered(expect, status, seen),
        None => reached(expect, seen, stage),
    };
    for (name, expected) in &expect.response_headers {
        let got = seen.headers.get(name);
        if got != expected.as_ref() {
            failures.push(format!(
                "response header {name}: expected {expected:?}, got {got:?}"
            ));
        }
    }
    failures
}

/// The mesh was to answer itself.
fn answered(expect: &Expect, status: u16, seen: &Seen) -> Vec<String> {
    let mut failures = Vec::new();
    if let Some(app) = &seen.app {
        failures.push(format!(
            "status: expected {status}, but {} was reached",
            app.pod
        ));
    }
    if seen.status != Some(status) {
        failures.push(format!("status: expected {status}, got {}", told(seen)));
    }
    let header = |name: &str| seen.headers.get(name).map(String::as_str);
    if let Some(denied_by) = expect.denied_by.as_deref()
        && header("x-weft-denied-by") != Some(denied_by)
    {
        failures.push(format!(
            "deniedBy: expected {denied_by}, got {:?}",
            header("x-weft-denied-by")
        ));
    }
    if let Some(location) = expect.location.as_deref()
        && header("location") != Some(location)
    {
        failures.push(format!(
            "location: expected {location}, got {:?}",
            header("location")
        ));
    }
    failures
}

/// A connection that is no HTTP is told nothing: it is closed.
fn closed(seen: &Seen) -> Vec<String> {
    if seen.app.is_none() && seen.raw.is_empty() {
        return Vec::new();
    }
    vec![format!("expected a closed connection, got {}", told(seen))]
}

/// An application was to be reached.
fn reached(expect: &Expect, seen: &Seen, stage: &Stage) -> Vec<String> {
    let Some(app) = &seen.app else {
        return vec![format!("expected the application, got {}", told(seen))];
    };
    let mut failures = Vec::new();
    if let Some(backends) = &expect.backends
        && !backends
            .keys()
            .any(|backend| stage.pods_of(backend).contains(&app.pod))
    {
        failures.push(format!(
            "backends: expected {backends:?}, reached {}",
            app.pod
        ));
    }
    if let Some(path) = &expect.path
        && app.target != *path
    {
        failures.push(format!(
            "path: expected {path}, the application saw {}",
            app.target
        ));
    }
    for (name, expected) in &expect.request_headers {
        let values: Vec<_> = app
            .headers
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
            .collect();
        let got = (!values.is_empty()).then(|| values.join(", "));
        if got != *expected {
            failures.push(format!(
                "request header {name}: expected {expected:?}, got {got:?}"
            ));
        }
    }
    failures
}

fn told(seen: &Seen) -> String {
    match seen.status {
        Some(status) => format!("{status}: {}", seen.raw.replace("\r\n", " | ")),
        None if seen.raw.is_empty() => "a closed connection".to_owned(),
        None => format!("{:?}", seen.raw),
    }
}

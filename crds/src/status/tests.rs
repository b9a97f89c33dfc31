use weft_engine::problem::{Code, Problem, Severity};

use super::{AncestorRef, Input, Programmed, ProxyCounts, Status, compute};

const BEFORE: &str = "2026-01-02T03:04:05Z";
const LATER: &str = "2026-01-02T03:05:00Z";

fn problem(severity: Severity, code: Code) -> Problem {
    Problem {
        severity,
        code,
        object: "VirtualRoute shop/reviews".to_owned(),
        field: "spec.http[0].backendRefs[0].name".to_owned(),
        message: "there is no Service shop/reviews".to_owned(),
        fix: "create it".to_owned(),
    }
}

fn target(found: bool) -> (AncestorRef, bool) {
    let target = AncestorRef {
        kind: "Service".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "reviews".to_owned(),
        ..AncestorRef::default()
    };
    (target, found)
}

fn status(problems: &[Problem], programmed: Programmed, previous: Option<&Status>) -> Status {
    compute(&Input {
        generation: 3,
        problems,
        targets: &[target(true)],
        programmed,
        previous,
        now: if previous.is_some() { LATER } else { BEFORE },
    })
}

fn shown(status: &Status, kind: &str) -> Option<(String, String)> {
    let condition = status.conditions.iter().find(|c| c.kind == kind)?;
    assert_eq!(condition.observed_generation, Some(3));
    Some((condition.status.clone(), condition.reason.clone()))
}

fn is(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

#[test]
fn a_published_object_is_ready_and_neither_reconciling_nor_stalled() {
    let status = status(&[], Programmed::Published(None), None);
    assert_eq!(shown(&status, "Ready"), is("True", "Programmed"));
    assert_eq!(shown(&status, "Accepted"), is("True", "Accepted"));
    assert_eq!(shown(&status, "ResolvedRefs"), is("True", "ResolvedRefs"));
    assert_eq!(shown(&status, "Programmed"), is("True", "Programmed"));
    assert_eq!(shown(&status, "Reconciling"), None);
    assert_eq!(shown(&status, "Stalled"), None);
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.targets.as_deref(), Some("1/1"));
    assert_eq!(status.ancestors[0].conditions[0].status, "True");
}

#[test]
fn what_is_under_way_is_reconciling_and_what_needs_a_hand_is_stalled() {
    let pending = status(&[], Programmed::Pending, None);
    assert_eq!(shown(&pending, "Reconciling"), is("True", "Pending"));
    assert_eq!(shown(&pending, "Stalled"), None);

    let broken = [problem(Severity::Error, Code::BackendNotFound)];
    let broken = status(&broken, Programmed::Published(None), None);
    assert_eq!(shown(&broken, "Ready"), is("False", "BackendNotFound"));
    assert_eq!(shown(&broken, "Stalled"), is("True", "BackendNotFound"));
    assert_eq!(shown(&broken, "Reconciling"), None);
    assert_eq!(shown(&broken, "Accepted"), is("True", "Accepted"));
    let ready = &broken.conditions[0];
    assert!(
        ready.message.contains("spec.http[0].backendRefs[0].name"),
        "{}",
        ready.message
    );
    assert!(ready.message.contains("create it"), "{}", ready.message);
}

#[test]
fn a_refused_object_is_not_accepted_and_not_programmed() {
    let refused = [problem(Severity::Error, Code::Invalid)];
    let refused = status(&refused, Programmed::Published(None), None);
    for kind in ["Ready", "Accepted", "Programmed"] {
        assert_eq!(shown(&refused, kind), is("False", "Invalid"), "{kind}");
    }
}

#[test]
fn an_overridden_policy_is_ready_and_says_so() {
    let lost = [problem(Severity::Warning, Code::Overridden)];
    let lost = status(&lost, Programmed::Published(None), None);
    assert_eq!(shown(&lost, "Ready"), is("True", "Overridden"));
}

#[test]
fn an_unchanged_object_has_an_equal_status_later() {
    for problems in [vec![], vec![problem(Severity::Error, Code::Invalid)]] {
        let before = status(&problems, Programmed::Published(None), None);
        let after = status(&problems, Programmed::Published(None), Some(&before));
        assert_eq!(before, after);
    }
}

#[test]
fn only_a_changed_status_changes_the_time() {
    let before = status(&[], Programmed::Published(None), None);
    let broken = [problem(Severity::Error, Code::BackendNotFound)];
    let after = status(&broken, Programmed::Published(None), Some(&before));
    let time = |kind: &str| {
        let condition = after.conditions.iter().find(|c| c.kind == kind);
        condition.map(|c| c.last_transition_time.clone()).unwrap()
    };
    assert_eq!(time("Ready"), LATER);
    assert_eq!(time("Accepted"), BEFORE);
}

#[test]
fn proxies_that_are_late_are_counted() {
    let counts = ProxyCounts {
        active: 11,
        total: 12,
        digest: "d".to_owned(),
    };
    let status = status(&[], Programmed::Published(Some(counts)), None);
    assert_eq!(status.programmed.as_deref(), Some("11/12"));
    assert_eq!(
        shown(&status, "Programmed"),
        is("True", "PartiallyProgrammed")
    );
}

#[test]
fn a_message_stays_within_what_the_schema_takes() {
    let mut long = problem(Severity::Error, Code::Invalid);
    long.message = "é".repeat(50_000);
    let many = vec![long; 40];
    let status = status(&many, Programmed::Published(None), None);
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.message.chars().count() <= 4_096)
    );
    assert!(status.conditions[0].message.chars().count() > 100);
}

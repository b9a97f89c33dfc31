use weft_engine::problem::{Code, Problem, Severity};

use super::{AncestorRef, Input, Laggard, Programmed, Reach, Status, compute};

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
    let status = status(&[], Programmed::Published, None);
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
    let broken = status(&broken, Programmed::Published, None);
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
    let refused = status(&refused, Programmed::Published, None);
    for kind in ["Ready", "Accepted", "Programmed"] {
        assert_eq!(shown(&refused, kind), is("False", "Invalid"), "{kind}");
    }
}

#[test]
fn an_overridden_policy_is_ready_and_says_so() {
    let lost = [problem(Severity::Warning, Code::Overridden)];
    let lost = status(&lost, Programmed::Published, None);
    assert_eq!(shown(&lost, "Ready"), is("True", "Overridden"));
}

#[test]
fn an_unchanged_object_has_an_equal_status_later() {
    for problems in [vec![], vec![problem(Severity::Error, Code::Invalid)]] {
        let before = status(&problems, Programmed::Published, None);
        let after = status(&problems, Programmed::Published, Some(&before));
        assert_eq!(before, after);
    }
}

#[test]
fn only_a_changed_status_changes_the_time() {
    let before = status(&[], Programmed::Published, None);
    let broken = [problem(Severity::Error, Code::BackendNotFound)];
    let after = status(&broken, Programmed::Published, Some(&before));
    let time = |kind: &str| {
        let condition = after.conditions.iter().find(|c| c.kind == kind);
        condition.map(|c| c.last_transition_time.clone()).unwrap()
    };
    assert_eq!(time("Ready"), LATER);
    assert_eq!(time("Accepted"), BEFORE);
}

fn reached(active: usize, total: usize, waiting: &[(&str, Option<&str>)]) -> Programmed {
    let laggard = |(proxy, refuses): &(&str, Option<&str>)| Laggard {
        proxy: (*proxy).to_owned(),
        refuses: refuses.map(str::to_owned),
    };
    Programmed::Reached(Reach {
        active,
        total,
        waiting: waiting.iter().map(laggard).collect(),
    })
}

fn message<'s>(status: &'s Status, kind: &str) -> &'s str {
    let condition = status.conditions.iter().find(|c| c.kind == kind);
    condition.map_or("", |condition| &condition.message)
}

#[test]
fn an_object_is_programmed_when_every_proxy_has_it_active() {
    let status = status(&[], reached(12, 12, &[]), None);
    assert_eq!(shown(&status, "Programmed"), is("True", "Programmed"));
    assert_eq!(shown(&status, "Ready"), is("True", "Programmed"));
    assert_eq!(message(&status, "Programmed"), "active on 12 of 12 proxies");
    assert_eq!(status.programmed.as_deref(), Some("12/12"));
    let counts = status.proxies.as_ref().map(|p| (p.active, p.total));
    assert_eq!(counts, Some((12, 12)));
}

#[test]
fn what_no_proxy_has_loaded_is_programmed_as_published() {
    let status = status(&[], reached(0, 0, &[]), None);
    assert_eq!(shown(&status, "Programmed"), is("True", "Programmed"));
    let said = message(&status, "Programmed");
    assert_eq!(said, "published; loaded by no proxy yet");
}

#[test]
fn a_proxy_that_is_late_is_named_and_waited_for() {
    let late = [("shop/reviews-0", None)];
    let status = status(&[], reached(2, 3, &late), None);
    let short = is("False", "PartiallyProgrammed");
    assert_eq!(shown(&status, "Programmed"), short);
    assert_eq!(shown(&status, "Ready"), short);
    assert_eq!(
        shown(&status, "Reconciling"),
        is("True", "PartiallyProgrammed")
    );
    assert_eq!(shown(&status, "Stalled"), None);
    assert_eq!(
        message(&status, "Programmed"),
        "active on 2 of 3 proxies; waiting for shop/reviews-0"
    );
    assert_eq!(status.programmed.as_deref(), Some("2/3"));
}

#[test]
fn many_that_are_late_are_named_in_part() {
    let late = [("a/1", None), ("a/2", None), ("a/3", None), ("a/4", None)];
    let status = status(&[], reached(2, 40, &late), None);
    assert_eq!(
        message(&status, "Programmed"),
        "active on 2 of 40 proxies; waiting for a/1, a/2, a/3 and 35 more"
    );
}

#[test]
fn a_proxy_that_refuses_is_not_waited_for() {
    let refusing = [("shop/reviews-0", Some("upgrade the proxy"))];
    let status = status(&[], reached(2, 3, &refusing), None);
    assert_eq!(shown(&status, "Programmed"), is("False", "RefusedByProxy"));
    assert_eq!(shown(&status, "Stalled"), is("True", "RefusedByProxy"));
    assert!(
        message(&status, "Ready").contains("shop/reviews-0 (refuses it: upgrade the proxy)"),
        "{}",
        message(&status, "Ready")
    );
}

#[test]
fn a_refused_object_stays_so_however_far_its_last_good_meaning_came() {
    let refused = [problem(Severity::Error, Code::Invalid)];
    let status = status(&refused, reached(1, 3, &[("a/1", None)]), None);
    assert_eq!(shown(&status, "Programmed"), is("False", "Invalid"));
    assert_eq!(shown(&status, "Stalled"), is("True", "Invalid"));
}

#[test]
fn a_new_leader_that_has_heard_nobody_claims_nothing() {
    let status = status(&[], Programmed::Unheard, None);
    assert_eq!(shown(&status, "Programmed"), is("False", "Pending"));
    assert_eq!(shown(&status, "Reconciling"), is("True", "Pending"));
    assert_eq!(status.programmed.as_deref(), Some("-"));
}

#[test]
fn a_message_stays_within_what_the_schema_takes() {
    let mut long = problem(Severity::Error, Code::Invalid);
    long.message = "é".repeat(50_000);
    let many = vec![long; 40];
    let status = status(&many, Programmed::Published, None);
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.message.chars().count() <= 4_096)
    );
    assert!(status.conditions[0].message.chars().count() > 100);
}

#[test]
fn a_gateway_is_told_of_each_listener_and_its_routes() {
    let world = crate::fixtures::world(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g, namespace: a, generation: 3}
spec:
  gatewayClassName: weft
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}
  - {name: tls, port: 8443, protocol: TLS, tls: {mode: Passthrough}}
---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: r, namespace: a}
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g, sectionName: https}]
  http:
  - {name: x, matches: [{path: {type: Exact, value: /x}}], directResponse: {statusCode: 200}}
  - {name: y, directResponse: {statusCode: 200}}
",
    );
    let gateway = crate::ObjectRef::new(crate::Kind::Gateway, "a", "g");
    let status = |previous, now| world.gateway_status(&gateway, previous, now);
    let first = status(None, "2026-01-01T00:00:00Z").unwrap();
    let of = |conditions: &[super::Condition], kind: &str| {
        let condition = conditions.iter().find(|c| c.kind == kind).unwrap();
        assert_eq!(condition.observed_generation, Some(3));
        (condition.status.clone(), condition.reason.clone())
    };
    let said = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    assert_eq!(
        of(&first.conditions, "Accepted"),
        said("True", "ListenersNotValid")
    );
    assert_eq!(
        of(&first.conditions, "Programmed"),
        said("True", "Programmed")
    );
    let listeners: Vec<_> = first
        .listeners
        .iter()
        .map(|listener| {
            let accepted = of(&listener.conditions, "Accepted");
            (&*listener.name, listener.attached_routes, accepted)
        })
        .collect();
    assert_eq!(
        listeners,
        [
            ("http", 0, said("True", "Accepted")),
            ("https", 1, said("True", "Accepted")),
            ("tls", 0, said("False", "UnsupportedProtocol")),
        ]
    );
    // Nothing new is no news, whatever the time.
    assert_eq!(
        status(Some(&first), "2026-01-02T00:00:00Z").as_ref(),
        Some(&first)
    );
    let other = crate::ObjectRef::new(crate::Kind::Gateway, "a", "other");
    assert!(
        world
            .gateway_status(&other, None, "2026-01-01T00:00:00Z")
            .is_none()
    );
}

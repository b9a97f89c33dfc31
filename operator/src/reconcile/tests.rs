use std::time::Duration;

use tokio::time::Instant;
use weft_crds::Key;
use weft_engine::{
    compile::check,
    documents::{
        AuthAction, AuthRule, AuthorizationPolicy, Document, InboundDocument, PolicyMode, RuleTo,
        Selector,
    },
    problem::{Code, Problem, Severity},
};

use super::{due::Due, problems::Problems};

fn problem(object: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        code: Code::Invalid,
        object: object.to_owned(),
        field: "spec".to_owned(),
        message: "wrong".to_owned(),
        fix: "mend it".to_owned(),
    }
}

#[test]
fn a_burst_of_changes_is_one_piece_of_work_and_cannot_put_it_off() {
    let (mut due, start) = (Due::new(), Instant::now());
    let step = Duration::from_millis(10);
    due.mark("a", start + step);
    due.mark("a", start + step * 5);
    due.mark("b", start + step * 2);
    assert_eq!(due.len(), 2);
    assert_eq!(due.take(start), None);
    assert_eq!(due.next(), Some(start + step));
    assert_eq!(due.take(start + step), Some("a"));
    assert_eq!(due.take(start + step), None);
    assert_eq!(due.take(start + step * 2), Some("b"));
    assert_eq!(due.len(), 0);
}

#[test]
fn what_is_marked_sooner_is_taken_sooner() {
    let (mut due, start) = (Due::new(), Instant::now());
    due.mark("a", start + Duration::from_secs(30));
    due.mark("a", start);
    assert_eq!(due.take(start), Some("a"));
    assert_eq!(due.next(), None);
}

#[test]
fn an_objects_problems_are_those_of_its_keys_its_file_and_its_reader() {
    let mut problems = Problems::default();
    let key = Key::Service("shop".to_owned(), "reviews".to_owned());
    let object = "VirtualRoute shop/reviews";
    problems.found(
        &key,
        vec![problem(object), problem("VirtualRoute shop/other")],
    );
    problems.in_file("a.yaml", vec![problem("a.yaml")]);
    assert_eq!(problems.of(object, [&key].into_iter()).count(), 1);
    assert_eq!(problems.of(object, [].into_iter()).count(), 0);
    problems.unreadable(object, Some(problem(object)));
    assert_eq!(problems.of(object, [].into_iter()).count(), 1);
    assert_eq!(problems.of_file("a.yaml").len(), 1);
    // Mended: whoever had a problem is named, so that its status is told again.
    let concerned = problems.found(&key, Vec::new());
    assert!(concerned.contains(object));
    assert_eq!(problems.of(object, [&key].into_iter()).count(), 1);
}

#[test]
fn a_document_is_checked_as_a_proxy_that_its_policies_select_would() {
    let unreadable = AuthorizationPolicy {
        id: "shop/reviews".to_owned(),
        selector: Selector::default(),
        action: AuthAction::Allow,
        rules: vec![AuthRule {
            to: vec![RuleTo {
                paths: vec!["/a%00b".to_owned()],
                ..RuleTo::default()
            }],
            ..AuthRule::default()
        }],
        mode: PolicyMode::Enforce,
        unknown: Vec::new(),
    };
    let inbound = |authorization| {
        Document::Inbound(InboundDocument {
            namespace: "shop".to_owned(),
            authorization,
            ..InboundDocument::default()
        })
    };
    assert!(check(&inbound(Vec::new())).is_empty());
    let found = check(&inbound(vec![unreadable]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].object, "AuthPolicy shop/reviews");
}

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};
use weft_crds::{Key, Settings};
use weft_engine::{
    compile::check,
    documents::{
        AuthAction, AuthRule, AuthorizationPolicy, Document, InboundDocument, PolicyMode, RuleTo,
        Selector,
    },
    problem::{Code, Problem, Severity},
};

use super::{
    GATHER_ACCOUNTS, Joining, Parts, Reconciler, SWEEP, due::Due, problems::Problems, questions,
};
use crate::{
    identity::Authority, lease::Leadership, metrics::Metrics, publish::Files, source::Change,
    status::StatusFiles,
};

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

fn reconciler(
    out: &Path,
    leadership: Leadership,
    authority: Option<Arc<Authority>>,
) -> Reconciler<Files, StatusFiles> {
    let files = Files::new(out).unwrap();
    Reconciler::new(Parts {
        ledger: files.survey().unwrap(),
        publisher: files,
        statuses: StatusFiles::new(out).unwrap(),
        stored_statuses: HashMap::new(),
        leadership,
        metrics: Metrics::new(),
        settings: Settings::default(),
        joining: Joining::All,
        wanted: watch::channel(None).0,
        authority: watch::channel(authority).1,
        reports: None,
        questions: questions().1,
        summary: watch::channel(None).0,
        ready: watch::channel(false).0,
    })
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_knows_everything_waits_for_events_alone() {
    let out = tempfile::tempdir().unwrap();
    let (_term, leadership) = Leadership::new();
    let mut standby = reconciler(out.path(), leadership, None);
    standby.take(Change::Complete);
    standby.advance();
    tokio::time::advance(SWEEP * 3).await;
    standby.advance();
    assert_eq!(standby.wake(), None);
}

#[tokio::test(start_paused = true)]
async fn a_leader_wakes_for_its_sweep_and_not_before() {
    let out = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let stored = Authority::generate("cluster.local", now).unwrap();
    let authority = Authority::load(&stored, "cluster.local", now).unwrap();
    let mut leader = reconciler(out.path(), Leadership::alone(), Some(Arc::new(authority)));
    // It led late.
    tokio::time::advance(SWEEP * 3).await;
    leader.take(Change::Complete);
    leader.advance();
    while !leader.documents.is_through() {
        leader.documents.finish().await;
        leader.advance();
    }
    tokio::time::advance(GATHER_ACCOUNTS).await;
    leader.advance();
    let wake = leader.wake().unwrap();
    assert!(wake > Instant::now() + SWEEP / 2, "{wake:?}");
}

use std::collections::BTreeMap;

use weft_engine::{documents::DocumentName, report::Active};

use super::difference::{News, Snapshot, Thread, snapshot};
use crate::config::ActiveDocument;

fn service(name: &str) -> DocumentName {
    DocumentName::Service("shop".to_owned(), name.to_owned())
}

fn active(digests: &[(&str, &str)]) -> Snapshot {
    let document = |(name, digest): &(&str, &str)| {
        let active = Active {
            digest: (*digest).to_owned(),
            rejected: None,
        };
        (service(name), active)
    };
    digests.iter().map(document).collect()
}

#[test]
fn first_everything_is_told_and_then_what_changed() {
    let mut thread = Thread::default();
    let now = active(&[("reviews", "1"), ("ratings", "1")]);
    let report = thread.next("pod", "boot", &now);
    assert_eq!((report.base, report.active.len()), (None, 2));
    thread.took(now.clone());
    assert_eq!(thread.news(&now), News::None);

    let now = active(&[("reviews", "2"), ("details", "1")]);
    assert_eq!(thread.news(&now), News::Pressing);
    let report = thread.next("pod", "boot", &now);
    assert_eq!((report.base, report.sequence), (Some(1), 2));
    let changed: Vec<_> = report.active.keys().cloned().collect();
    assert_eq!(changed, [service("details"), service("reviews")]);
    assert_eq!(
        report.gone.into_iter().collect::<Vec<_>>(),
        [service("ratings")]
    );
}

#[test]
fn endpoints_that_come_and_go_are_no_pressing_news() {
    let mut thread = Thread::default();
    let before = active(&[("reviews", "1")]);
    thread.next("pod", "boot", &before);
    thread.took(before.clone());
    let mut now = before;
    let endpoints = DocumentName::Endpoints("shop".to_owned(), "reviews".to_owned(), 0);
    now.insert(endpoints, Active::default());
    assert_eq!(thread.news(&now), News::Late);
    now.extend(active(&[("reviews", "2")]));
    assert_eq!(thread.news(&now), News::Pressing);
}

#[test]
fn what_was_not_taken_is_told_again_in_its_newest_form() {
    let mut thread = Thread::default();
    thread.next("pod", "boot", &active(&[("reviews", "1")]));
    thread.took(active(&[("reviews", "1")]));
    // Three changes, two of which nobody took.
    for digest in ["2", "3"] {
        thread.next("pod", "boot", &active(&[("reviews", digest)]));
    }
    let report = thread.next("pod", "boot", &active(&[("reviews", "4")]));
    assert_eq!((report.base, report.sequence), (Some(1), 4));
    assert_eq!(report.active, active(&[("reviews", "4")]));
}

#[test]
fn who_lost_the_thread_is_told_everything() {
    let mut thread = Thread::default();
    let now = active(&[("reviews", "1"), ("ratings", "1")]);
    thread.next("pod", "boot", &now);
    thread.took(now.clone());
    thread.lose();
    assert_eq!(thread.news(&now), News::Pressing);
    let report = thread.next("pod", "boot", &now);
    assert_eq!((report.base, report.active), (None, now));
}

#[test]
fn a_refusal_is_news_and_its_text_is_bounded() {
    let document = |rejected: Option<String>| ActiveDocument {
        digest: "1".to_owned(),
        problems: Vec::new(),
        rejected,
    };
    let before = snapshot(BTreeMap::from([(service("reviews"), document(None))]));
    let long = Some("é".repeat(10_000));
    let after = snapshot(BTreeMap::from([(service("reviews"), document(long))]));
    let mut thread = Thread::default();
    thread.next("pod", "boot", &before);
    thread.took(before);
    assert_eq!(thread.news(&after), News::Pressing);
    let told = after.values().next().and_then(|a| a.rejected.as_ref());
    assert_eq!(told.map(|why| why.chars().count()), Some(300));
}

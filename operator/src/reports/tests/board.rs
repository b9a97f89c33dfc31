use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use weft_crds::{Key, status::Reach};
use weft_engine::{
    documents::DocumentName,
    report::{Active, Report},
};

use super::super::{Board, HEARTBEAT, MISSED, Refusal};
use crate::metrics::Metrics;

fn service() -> DocumentName {
    DocumentName::Service("shop".to_owned(), "reviews".to_owned())
}

fn key() -> Key {
    Key::Service("shop".to_owned(), "reviews".to_owned())
}

fn digest(number: u32) -> String {
    format!("{number:032x}")
}

/// Everything that a proxy has.
fn everything(pod: &str, sequence: u64, has: &[(DocumentName, u32)]) -> Report {
    let active = has.iter().map(|(name, number)| {
        let active = Active {
            digest: digest(*number),
            rejected: None,
        };
        (name.clone(), active)
    });
    Report {
        pod: pod.to_owned(),
        boot: format!("{pod} 1"),
        sequence,
        active: active.collect(),
        ..Report::default()
    }
}

/// What came to be active since the last report.
fn change(pod: &str, sequence: u64, has: &[(DocumentName, u32)]) -> Report {
    Report {
        base: Some(sequence - 1),
        ..everything(pod, sequence, has)
    }
}

struct Shop {
    board: Board,
    now: Instant,
}

impl Shop {
    /// A service that is published, and three proxies that have it.
    fn open() -> Self {
        let mut shop = Self {
            board: Board::new(Metrics::new()),
            now: Instant::now(),
        };
        shop.publish(&service(), 1);
        for pod in ["a", "b", "c"] {
            shop.take(everything(pod, 1, &[(service(), 1)])).unwrap();
        }
        shop
    }

    fn publish(&mut self, name: &DocumentName, number: u32) {
        let digest = digest(number);
        self.board.published(name, Some(&digest), self.now);
    }

    fn take(&mut self, report: Report) -> Result<usize, Refusal> {
        let changed = self.board.take("shop", report, self.now)?;
        Ok(changed.len())
    }

    fn reach(&self, since: u64) -> Reach {
        self.board.reach([key()].iter(), since)
    }

    fn counts(&self, since: u64) -> (usize, usize) {
        let reach = self.reach(since);
        (reach.active, reach.total)
    }
}

#[test]
fn those_count_who_have_loaded_the_document_in_any_version() {
    let mut shop = Shop::open();
    // It never called the service.
    shop.take(everything("d", 1, &[(DocumentName::Mesh, 9)]))
        .unwrap();
    let since = shop.board.number();
    assert_eq!(shop.counts(since), (3, 3));
    shop.publish(&service(), 2);
    let since = shop.board.number();
    assert_eq!(shop.counts(since), (0, 3));
    shop.take(change("a", 2, &[(service(), 2)])).unwrap();
    shop.take(change("c", 2, &[(service(), 2)])).unwrap();
    let reach = shop.reach(since);
    assert_eq!((reach.active, reach.total), (2, 3));
    let late: Vec<_> = reach.waiting.iter().map(|late| &*late.proxy).collect();
    assert_eq!(late, ["shop/b"]);
}

#[test]
fn what_is_published_later_takes_nothing_back() {
    let mut shop = Shop::open();
    let since = shop.board.number();
    shop.publish(&service(), 2);
    shop.publish(&service(), 3);
    shop.take(change("a", 2, &[(service(), 2)])).unwrap();
    shop.take(change("b", 2, &[(service(), 3)])).unwrap();
    // The old one carries it, and so does everything since.
    assert_eq!(shop.counts(since), (3, 3));
    // For what came with the second, only the third and it are enough.
    assert_eq!(shop.counts(since + 1), (2, 3));
    assert_eq!(shop.counts(since + 2), (1, 3));
}

#[test]
fn content_that_comes_back_is_the_newest_again() {
    let mut shop = Shop::open();
    shop.publish(&service(), 2);
    shop.take(change("a", 2, &[(service(), 2)])).unwrap();
    shop.publish(&service(), 1);
    assert_eq!(shop.counts(shop.board.number()), (2, 3));
}

#[test]
fn a_proxy_that_is_far_behind_is_behind() {
    let mut shop = Shop::open();
    let since = shop.board.number();
    for number in 2..40 {
        shop.publish(&service(), number);
    }
    shop.take(change("a", 2, &[(service(), 39)])).unwrap();
    assert_eq!(shop.counts(since), (1, 3));
}

#[test]
fn who_refuses_is_named_first_and_says_why() {
    let mut shop = Shop::open();
    shop.publish(&service(), 2);
    let mut refusing = change("c", 2, &[(service(), 1)]);
    for active in refusing.active.values_mut() {
        active.rejected = Some("upgrade\nthe proxy".to_owned());
    }
    shop.take(refusing).unwrap();
    let reach = shop.reach(shop.board.number());
    assert_eq!((reach.active, reach.total), (0, 3));
    let first = reach.waiting.first().unwrap();
    assert_eq!(first.proxy, "shop/c");
    assert_eq!(first.refuses.as_deref(), Some("upgradethe proxy"));
}

#[test]
fn who_refuses_the_first_version_that_it_gets_is_waited_for_and_named() {
    let mut shop = Shop::open();
    let name: DocumentName = "service.shop.ratings".parse().unwrap();
    shop.publish(&name, 7);
    let mut refusing = change("c", 2, &[(name.clone(), 0)]);
    for active in refusing.active.values_mut() {
        active.digest = Active::NOTHING.to_owned();
        active.rejected = Some("no version of this kind".to_owned());
    }
    shop.take(refusing).unwrap();
    let key = Key::Service("shop".to_owned(), "ratings".to_owned());
    let reach = shop.board.reach([&key].into_iter(), shop.board.number());
    assert_eq!((reach.active, reach.total), (0, 1));
    assert!(reach.waiting[0].refuses.is_some(), "{reach:?}");
}

#[test]
fn a_report_that_builds_on_a_lost_one_is_refused_and_everything_mends_it() {
    let mut shop = Shop::open();
    let lost = change("a", 3, &[(service(), 2)]);
    assert_eq!(shop.take(lost), Err(Refusal::Everything));
    let stranger = change("x", 1, &[(service(), 2)]);
    assert_eq!(shop.take(stranger), Err(Refusal::Everything));
    let mut reborn = change("a", 2, &[(service(), 2)]);
    reborn.boot = "another life".to_owned();
    assert_eq!(shop.take(reborn.clone()), Err(Refusal::Everything));
    reborn.base = None;
    assert_eq!(shop.take(reborn), Ok(1));
}

#[test]
fn everything_means_that_nothing_else_is_active() {
    let mut shop = Shop::open();
    let other = (DocumentName::Mesh, 9);
    // The service went, `mesh` came.
    assert_eq!(shop.take(everything("a", 2, &[other])), Ok(2));
    assert_eq!(shop.counts(shop.board.number()), (2, 2));
}

#[test]
fn a_withdrawn_document_and_a_proxy_that_leaves_are_not_counted() {
    let mut shop = Shop::open();
    let mut without = change("a", 2, &[]);
    without.gone = BTreeSet::from([service()]);
    assert_eq!(shop.take(without), Ok(1));
    assert_eq!(shop.counts(1), (2, 2));
    let mut leaving = change("b", 2, &[]);
    leaving.leaving = true;
    assert_eq!(shop.take(leaving), Ok(1));
    assert_eq!(shop.counts(1), (1, 1));
    shop.board.forget("shop/c");
    assert_eq!(shop.counts(1), (0, 0));
    shop.board.published(&service(), None, shop.now);
    assert_eq!(shop.counts(1), (0, 0));
}

#[test]
fn who_misses_its_heartbeats_is_not_counted_and_comes_back_with_everything() {
    let mut shop = Shop::open();
    shop.now += HEARTBEAT * MISSED;
    shop.take(change("b", 2, &[])).unwrap();
    shop.now += Duration::from_secs(1);
    let had = shop.board.expire(shop.now);
    assert!(!had.is_empty());
    assert_eq!(shop.counts(1), (1, 1));
    assert_eq!(shop.take(change("a", 2, &[])), Err(Refusal::Everything));
    assert_eq!(shop.take(everything("a", 3, &[(service(), 1)])), Ok(1));
    assert_eq!(shop.counts(1), (2, 2));
}

#[test]
fn nobody_speaks_of_another_namespaces_own_document() {
    let mut shop = Shop::open();
    let other = DocumentName::Inbound("bank".to_owned());
    shop.publish(&other, 7);
    shop.take(change("a", 2, &[(other, 6)])).unwrap();
    let reach = shop
        .board
        .reach([Key::Inbound("bank".to_owned())].iter(), 9);
    assert_eq!(reach, Reach::default());
}

#[test]
fn invented_names_and_digests_take_bounded_room() {
    let mut shop = Shop::open();
    let many: Vec<_> = (0..5_000)
        .map(|n| (DocumentName::Service("shop".to_owned(), format!("s{n}")), 1))
        .collect();
    let taken = shop.take(change("a", 2, &many)).unwrap();
    assert_eq!(taken, 4_096);
    // They go with who invented them.
    shop.board.forget("shop/a");
    assert_eq!(shop.take(change("b", 2, &many[..10])), Ok(10));
    let mut nonsense = change("b", 3, &[(service(), 1)]);
    for active in nonsense.active.values_mut() {
        active.digest = "not hex".to_owned();
    }
    assert_eq!(shop.take(nonsense), Err(Refusal::Malformed));
}

#[test]
fn a_document_that_is_reported_before_its_publishing_is_known_counts_afterwards() {
    let mut shop = Shop::open();
    shop.take(change("a", 2, &[(service(), 2)])).unwrap();
    shop.publish(&service(), 2);
    assert_eq!(shop.counts(shop.board.number()), (1, 3));
}

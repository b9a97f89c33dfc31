use std::time::Duration;

use tokio::time::Instant;
use weft_crds::{
    Kind, ObjectRef,
    status::{Input, Laggard, Programmed, Reach, Status, compute},
};

use super::Pace;

fn object() -> ObjectRef {
    ObjectRef::new(Kind::VirtualRoute, "shop", "reviews")
}

fn status(generation: i64, active: usize, total: usize) -> Status {
    let late = Laggard {
        proxy: "shop/reviews-0".to_owned(),
        refuses: None,
    };
    compute(&Input {
        generation,
        problems: &[],
        targets: &[],
        programmed: Programmed::Reached(Reach {
            active,
            total,
            waiting: vec![late; (total - active).min(1)],
        }),
        previous: None,
        now: "2026-01-02T03:04:05Z",
    })
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_generation_that_every_proxy_has_is_told_at_once() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    let due = pace.due(&object(), Some(&status(1, 3, 3)), &status(2, 3, 3), now);
    assert_eq!(due, now);
}

#[test]
fn a_generation_on_its_way_is_told_once_and_not_twice_where_proxies_are_fast() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    let before = status(1, 3, 3);
    let due = pace.due(&object(), Some(&before), &status(2, 0, 3), now);
    assert_eq!(due, now + ms(250));
    // More proxies do not put it off.
    let due = pace.due(&object(), Some(&before), &status(2, 1, 3), now + ms(50));
    assert_eq!(due, now + ms(250));
    // All of them: at once.
    let due = pace.due(&object(), Some(&before), &status(2, 3, 3), now + ms(80));
    assert_eq!(due, now + ms(80));
}

#[test]
fn a_newer_generation_gets_its_own_time() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    let before = status(1, 3, 3);
    pace.due(&object(), Some(&before), &status(2, 0, 3), now);
    let due = pace.due(&object(), Some(&before), &status(3, 0, 3), now + ms(200));
    assert_eq!(due, now + ms(450));
}

#[test]
fn counts_on_the_way_are_told_twice_a_second_and_the_last_one_at_once() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    pace.told(&object(), now);
    let before = status(2, 0, 3);
    let due = pace.due(&object(), Some(&before), &status(2, 1, 3), now + ms(10));
    assert_eq!(due, now + ms(500));
    let due = pace.due(&object(), Some(&before), &status(2, 3, 3), now + ms(20));
    assert_eq!(due, now + ms(20));
}

#[test]
fn a_proxy_that_starts_from_an_old_state_makes_no_status_flicker() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    let stands = status(2, 3, 3);
    let due = pace.due(&object(), Some(&stands), &status(2, 3, 4), now);
    assert_eq!(due, now + ms(3_000));
    // It caught up: there are only more of them.
    let due = pace.due(&object(), Some(&stands), &status(2, 4, 4), now + ms(100));
    assert!(due >= now + ms(2_000));
    // One that stays behind is told.
    pace.settled(&object());
    pace.due(&object(), Some(&stands), &status(2, 3, 4), now);
    let due = pace.due(&object(), Some(&stands), &status(2, 3, 4), now + ms(3_000));
    assert_eq!(due, now + ms(3_000));
}

#[test]
fn pods_that_come_and_go_are_counted_seldom() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    pace.told(&object(), now);
    let due = pace.due(
        &object(),
        Some(&status(2, 3, 3)),
        &status(2, 5, 5),
        now + ms(5),
    );
    assert_eq!(due, now + ms(10_000));
}

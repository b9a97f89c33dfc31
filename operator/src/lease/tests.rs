use std::time::Duration;

use tokio::time::Instant;

use super::{Claim, Leadership, Record, Step, Timing};

const LASTS: Duration = Duration::from_secs(10);

fn claim() -> Claim {
    Claim::new("b".to_owned(), Timing::lasting(LASTS))
}

fn held_by(holder: &str, renewed: u32) -> Record {
    Record {
        holder: holder.to_owned(),
        renewed: renewed.to_string(),
        transitions: 4,
        duration: LASTS,
    }
}

#[test]
fn a_lease_that_does_not_exist_is_taken() {
    assert_eq!(
        claim().step(None, Instant::now()),
        Step::Take { transitions: 0 }
    );
}

#[test]
fn a_lease_that_was_released_is_taken_at_once() {
    assert_eq!(
        claim().step(Some(held_by("", 1)), Instant::now()),
        Step::Take { transitions: 5 }
    );
}

#[test]
fn our_own_lease_is_renewed_and_does_not_change_hands() {
    assert_eq!(
        claim().step(Some(held_by("b", 1)), Instant::now()),
        Step::Renew { transitions: 4 }
    );
}

#[test]
fn a_lease_that_nobody_renews_is_taken_after_its_duration_and_not_before() {
    let (mut claim, start) = (claim(), Instant::now());
    assert_eq!(claim.step(Some(held_by("a", 1)), start), Step::Wait);
    let almost = start + LASTS - Duration::from_millis(1);
    assert_eq!(claim.step(Some(held_by("a", 1)), almost), Step::Wait);
    assert_eq!(
        claim.step(Some(held_by("a", 1)), start + LASTS),
        Step::Take { transitions: 5 }
    );
}

#[test]
fn a_renewal_starts_the_wait_again_whatever_the_holders_clock_says() {
    let (mut claim, start) = (claim(), Instant::now());
    assert_eq!(claim.step(Some(held_by("a", 9)), start), Step::Wait);
    // The holder's clock went backwards; the record still changed.
    let later = start + Duration::from_secs(9);
    assert_eq!(claim.step(Some(held_by("a", 1)), later), Step::Wait);
    let past_the_first = start + Duration::from_secs(12);
    assert_eq!(
        claim.step(Some(held_by("a", 1)), past_the_first),
        Step::Wait
    );
    assert_eq!(
        claim.step(Some(held_by("a", 1)), later + LASTS),
        Step::Take { transitions: 5 }
    );
}

#[test]
fn a_holder_that_announced_a_longer_lease_is_given_its_time() {
    let (mut claim, start) = (claim(), Instant::now());
    let record = Record {
        duration: LASTS * 2,
        ..held_by("a", 1)
    };
    assert_eq!(claim.step(Some(record.clone()), start), Step::Wait);
    assert_eq!(claim.step(Some(record.clone()), start + LASTS), Step::Wait);
    assert_eq!(
        claim.step(Some(record), start + LASTS * 2),
        Step::Take { transitions: 5 }
    );
}

#[test]
fn the_leader_stops_writing_before_another_may_take_over() {
    let timing = Timing::lasting(LASTS);
    assert!(timing.deadline() < timing.duration);
    // And one missed renewal does not cost it the lease.
    assert!(timing.deadline() > timing.renew * 2);
    // The takeover after a SIGKILL: a whole lease, and one look.
    assert!(timing.duration + timing.retry < Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_write_is_cut_off_when_the_term_ends() {
    let (term, leadership) = Leadership::new();
    assert!(!leadership.holds());
    assert_eq!(leadership.guard(async { 1 }).await, None);
    term.lead_until(Instant::now() + Duration::from_secs(1));
    assert!(leadership.holds());
    assert_eq!(leadership.guard(async { 1 }).await, Some(1));
    let slow = tokio::time::sleep(Duration::from_secs(5));
    assert_eq!(leadership.guard(slow).await, None);
    assert!(!leadership.holds());
}

#[tokio::test]
async fn only_the_start_and_the_end_of_a_term_wake_those_who_wait() {
    let (term, mut leadership) = Leadership::new();
    term.lead_until(Instant::now() + LASTS);
    leadership.changed().await;
    term.lead_until(Instant::now() + LASTS * 2);
    let quiet = tokio::time::timeout(Duration::from_millis(20), leadership.changed()).await;
    assert!(quiet.is_err(), "a renewal woke a waiter");
    term.end();
    leadership.changed().await;
    assert!(!leadership.holds());
}

use std::time::{Duration, Instant};

use super::{RetryBudget, Settings};

fn settings(percent: u32, min_per_second: u32) -> Settings {
    Settings {
        percent,
        min_per_second,
    }
}

fn drain(budget: &mut RetryBudget, settings: &Settings, now: Instant) -> usize {
    (0..10_000)
        .take_while(|_| budget.withdraw(settings, 1, now))
        .count()
}

#[test]
fn retries_are_a_share_of_the_requests() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now);
    for _ in 0..500 {
        budget.request(now);
    }
    assert_eq!(drain(&mut budget, &settings(20, 0), now), 100);
}

#[test]
fn a_few_retries_are_allowed_without_traffic() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now);
    assert_eq!(drain(&mut budget, &settings(20, 3), now), 30);
}

#[test]
fn no_percent_and_no_minimum_forbid_retries() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now);
    for _ in 0..500 {
        budget.request(now);
    }
    assert!(!budget.withdraw(&settings(0, 0), 1, now));
}

#[test]
fn the_window_forgets_after_ten_seconds() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now);
    for _ in 0..100 {
        budget.request(now);
    }
    assert_eq!(drain(&mut budget, &settings(10, 0), now), 10);
    let half = now + Duration::from_secs(5);
    assert!(!budget.withdraw(&settings(10, 0), 1, half));
    let later = now + Duration::from_secs(11);
    assert!(!budget.withdraw(&settings(10, 0), 1, later), "no requests");
    for _ in 0..100 {
        budget.request(later);
    }
    assert_eq!(drain(&mut budget, &settings(10, 0), later), 10);
}

#[test]
fn a_long_silence_is_not_walked_second_by_second() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now);
    budget.request(now);
    let much_later = now + Duration::from_secs(100_000_000);
    budget.request(much_later);
    assert_eq!(drain(&mut budget, &settings(100, 0), much_later), 1);
}

#[test]
fn the_minimum_is_shared_among_the_workers() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now);
    let spent = (0..1_000)
        .take_while(|_| budget.withdraw(&settings(0, 10), 4, now))
        .count();
    assert_eq!(spent, 25);
}

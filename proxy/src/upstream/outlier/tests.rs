use std::time::{Duration, Instant};

use weft_engine::documents::OutlierDetection;

use super::{Outcome, Record, may_eject};

fn settings() -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: 5,
        consecutive_gateway_errors: 3,
        success_rate_minimum: 80,
        success_rate_min_requests: 10,
        interval: 10_000,
        base_ejection_time: 30_000,
        max_ejection_percent: 50,
    }
}

fn repeat(record: &mut Record, outcome: Outcome, times: usize, now: Instant) -> Vec<bool> {
    (0..times)
        .map(|_| record.observe(&settings(), outcome, now))
        .collect()
}

#[test]
fn five_server_errors_in_a_row_eject() {
    let now = Instant::now();
    let mut record = Record::default();
    let verdicts = repeat(&mut record, Outcome::ServerError, 5, now);
    assert_eq!(verdicts, [false, false, false, false, true]);
}

#[test]
fn a_success_in_between_starts_the_count_again() {
    let now = Instant::now();
    let mut record = Record::default();
    repeat(&mut record, Outcome::ServerError, 4, now);
    repeat(&mut record, Outcome::Success, 1, now);
    let verdicts = repeat(&mut record, Outcome::ServerError, 4, now);
    assert_eq!(verdicts, [false; 4]);
}

#[test]
fn gateway_errors_have_their_own_limit() {
    let now = Instant::now();
    let mut record = Record::default();
    let verdicts = repeat(&mut record, Outcome::GatewayError, 3, now);
    assert_eq!(verdicts, [false, false, true]);
}

#[test]
fn a_limit_of_zero_disables() {
    let now = Instant::now();
    let off = OutlierDetection {
        consecutive_5xx: 0,
        consecutive_gateway_errors: 0,
        ..settings()
    };
    let mut record = Record::default();
    for _ in 0..100 {
        assert!(!record.observe(&off, Outcome::GatewayError, now));
    }
}

#[test]
fn a_low_success_rate_ejects_at_the_end_of_the_interval() {
    let now = Instant::now();
    let mut record = Record::default();
    for _ in 0..5 {
        record.observe(&settings(), Outcome::Success, now);
        record.observe(&settings(), Outcome::ServerError, now);
    }
    assert!(record.end_interval(&settings(), now));
    assert!(!record.end_interval(&settings(), now), "a new interval");
}

#[test]
fn too_few_requests_say_nothing_about_the_success_rate() {
    let now = Instant::now();
    let mut record = Record::default();
    repeat(&mut record, Outcome::ServerError, 2, now);
    assert!(!record.end_interval(&settings(), now));
}

#[test]
fn an_ejection_ends_by_itself() {
    let now = Instant::now();
    let mut record = Record::default();
    assert_eq!(
        record.eject(&settings(), now),
        Duration::from_secs(30),
        "the first ejection lasts the base time"
    );
    assert!(record.is_ejected(now + Duration::from_secs(29)));
    assert!(!record.is_ejected(now + Duration::from_secs(30)));
}

#[test]
fn repeated_ejections_last_longer_up_to_a_limit() {
    let mut now = Instant::now();
    let mut record = Record::default();
    let mut durations = Vec::new();
    for _ in 0..12 {
        let duration = record.eject(&settings(), now);
        durations.push(duration.as_secs());
        now += duration;
    }
    assert_eq!(durations[..3], [30, 60, 90]);
    assert_eq!(durations[11], 300);
}

#[test]
fn good_conduct_shortens_the_next_ejection() {
    let mut now = Instant::now();
    let mut record = Record::default();
    for _ in 0..3 {
        now += record.eject(&settings(), now);
    }
    // The interval in which the ejection ended is no credit, each one after it is.
    for _ in 0..3 {
        assert!(!record.end_interval(&settings(), now));
        now += Duration::from_secs(10);
    }
    assert_eq!(record.eject(&settings(), now), Duration::from_secs(60));
}

#[test]
fn answers_of_an_ejected_endpoint_do_not_count() {
    let now = Instant::now();
    let mut record = Record::default();
    record.eject(&settings(), now);
    assert_eq!(
        repeat(&mut record, Outcome::GatewayError, 9, now),
        [false; 9]
    );
}

#[test]
fn at_least_one_of_several_may_be_ejected_and_never_a_lone_one() {
    let ten_percent = OutlierDetection {
        max_ejection_percent: 10,
        ..settings()
    };
    assert!(!may_eject(&ten_percent, 0, 1));
    assert!(may_eject(&ten_percent, 0, 2));
    assert!(!may_eject(&ten_percent, 1, 2));
    assert!(may_eject(&settings(), 1, 4));
    assert!(!may_eject(&settings(), 2, 4));
}

#[test]
fn a_percentage_of_zero_ejects_nothing() {
    let none = OutlierDetection {
        max_ejection_percent: 0,
        ..settings()
    };
    assert!(!may_eject(&none, 0, 10));
}

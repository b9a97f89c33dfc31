use super::*;

#[test]
fn a_process_that_works_is_seen_to_work() {
    let span = Span::begin(&[std::process::id()], &[]);
    let began = Instant::now();
    let mut sum = 0_u64;
    while of(std::process::id()) < span.used.measured + Duration::from_millis(100) {
        sum = std::hint::black_box(sum.wrapping_add(1));
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "100 ms of work are never seen"
        );
    }
    let spent = span.end();
    assert!(spent.measured >= Duration::from_millis(100));
    assert!((0.0..=1.0).contains(&spent.foreign));
}

#[test]
fn a_process_that_has_ended_used_nothing() {
    // No process has it: pid_max is at most 2^22.
    assert_eq!(of(1 << 30), Duration::ZERO);
}

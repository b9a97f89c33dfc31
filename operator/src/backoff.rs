use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(30);

/// How long to wait after `failures` failures in a row: 100 ms doubled each time, at most 30 s,
/// with the upper half random so that many that failed together do not come back together.
pub(crate) fn after(failures: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(MOST).mul_f64(0.5 + fastrand::f64() / 2.0)
}

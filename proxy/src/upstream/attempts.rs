//! Attempts after one that did nothing: the endpoint got no byte that matters, or says so itself.
//! They need no rule of the user's, for they do no harm; but a bound, and pauses.

use std::time::Duration;

/// Beyond the first. Of a Deployment that is scaled to a fraction, most endpoints stop at the same
/// moment.
const ATTEMPTS: u32 = 5;

/// The ceiling of the pause before the second of them; the first is made at once, elsewhere.
const BACKOFF: Duration = Duration::from_millis(25);

/// Attempts that do not wait for a silent network if another endpoint is there. The next ones do:
/// it may be far away, and not silent.
pub(crate) const HASTY_ATTEMPTS: u32 = 2;

/// What one request or connection may still try.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
}

impl Attempts {
    /// The pause before one more; `None`: there were enough. `is_slow`: the last one cost the
    /// connect time-out, so there may be fewer.
    pub(crate) fn again(&mut self, is_slow: bool) -> Option<Duration> {
        if self.made >= ATTEMPTS {
            return None;
        }
        let pause = match self.made {
            0 => Duration::ZERO,
            made => BACKOFF
                .saturating_mul(2u32.saturating_pow(made - 1))
                .mul_f64(fastrand::f64()),
        };
        self.made += if is_slow { 2 } else { 1 };
        Some(pause)
    }
}

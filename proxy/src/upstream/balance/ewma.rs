//! Peak-sensitive moving average of latency, as in Finagle's `PeakEwma`: jumps up at once,
//! comes down slowly.

use std::time::{Duration, Instant};

/// The average forgets with this time constant.
const DECAY: Duration = Duration::from_secs(10);

/// What one failure multiplies the average by.
const FAILURE_FACTOR: f64 = 4.0;

/// A failure counts as at least this many seconds: a 503 answered in microseconds must not make
/// its endpoint look like the fastest of all.
const FAILURE_FLOOR: f64 = 0.020;

/// And the penalty stops growing here, so that a recovered endpoint is found again within a
/// minute or so.
const FAILURE_CEILING: f64 = 5.0;

/// The cost per outstanding request of an endpoint that has not answered yet: new endpoints get
/// one request at a time until the first answer, not a stampede.
const UNPROVEN: f64 = 1.0;

/// The average of one endpoint. Small and `Copy`, to live in a `Cell`.
#[derive(Clone, Copy, Debug)]
pub struct PeakEwma {
    /// Seconds; `None` before the first answer.
    average: Option<f64>,
    stamp: Instant,
}

impl PeakEwma {
    /// Nothing known yet.
    pub fn new(now: Instant) -> Self {
        Self {
            average: None,
            stamp: now,
        }
    }

    /// An answer came after `latency`; `failed` if it was a failure of the endpoint.
    pub fn observe(&mut self, latency: Duration, failed: bool, now: Instant) {
        let current = self.average.unwrap_or_default();
        let keep = self.keep(now);
        let sample = latency.as_secs_f64();
        let sample = if failed {
            (sample.max(current) * FAILURE_FACTOR)
                .clamp(FAILURE_FLOOR, FAILURE_CEILING)
                .max(sample)
        } else {
            sample
        };
        self.average = Some(if sample >= current {
            sample
        } else {
            current * keep + sample * (1.0 - keep)
        });
        self.stamp = now;
    }

    /// The expected wait for one more request next to `outstanding` others, in seconds.
    ///
    /// An average that nobody refreshes fades as well: otherwise an endpoint that was slow once
    /// would never be asked again.
    pub fn cost(&self, outstanding: u32, now: Instant) -> f64 {
        match self.average {
            Some(average) => average * self.keep(now) * (f64::from(outstanding) + 1.0),
            None => UNPROVEN * f64::from(outstanding),
        }
    }

    fn keep(&self, now: Instant) -> f64 {
        let idle = now.saturating_duration_since(self.stamp);
        (-(idle.as_secs_f64() / DECAY.as_secs_f64())).exp()
    }
}

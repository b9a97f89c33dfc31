//! When an endpoint is taken out of the balancing, and for how long.
//!
//! Passive: it judges by the answers to real traffic. Pure: the clock is passed in.

use std::time::{Duration, Instant};

use weft_engine::documents::OutlierDetection;

#[cfg(test)]
mod tests;

/// An ejection lasts at most this long, however often it was repeated.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);

/// How an exchange with an endpoint ended, as far as its health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Any response below 500.
    Success,
    /// A response of 500 or above that is not a gateway error.
    ServerError,
    /// 502, 503, 504, a reset, or a failed connect.
    GatewayError,
}

impl Outcome {
    /// By the response's status.
    pub fn of_status(status: http::StatusCode) -> Self {
        match status.as_u16() {
            502..=504 => Self::GatewayError,
            500.. => Self::ServerError,
            _ => Self::Success,
        }
    }

    /// Whether the endpoint failed.
    pub fn is_failure(self) -> bool {
        self != Self::Success
    }
}

/// What is held against one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record {
    consecutive_errors: u32,
    consecutive_gateway_errors: u32,
    requests: u32,
    successes: u32,
    ejected_until: Option<Instant>,
    /// How many times in a row it was ejected; intervals without an ejection take one off.
    ejections: u32,
}

impl Record {
    /// Whether it is out of the balancing.
    pub fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }

    /// Takes an outcome in; `true` if it should be ejected for it.
    ///
    /// What an ejected endpoint still answers (requests that were under way, panic mode) does
    /// not count.
    pub fn observe(&mut self, settings: &OutlierDetection, outcome: Outcome, now: Instant) -> bool {
        if self.is_ejected(now) {
            return false;
        }
        self.requests = self.requests.saturating_add(1);
        match outcome {
            Outcome::Success => {
                self.successes = self.successes.saturating_add(1);
                self.consecutive_errors = 0;
                self.consecutive_gateway_errors = 0;
            }
            Outcome::ServerError => {
                self.consecutive_errors = self.consecutive_errors.saturating_add(1);
                self.consecutive_gateway_errors = 0;
            }
            Outcome::GatewayError => {
                self.consecutive_errors = self.consecutive_errors.saturating_add(1);
                self.consecutive_gateway_errors = self.consecutive_gateway_errors.saturating_add(1);
            }
        }
        reached(self.consecutive_errors, settings.consecutive_5xx)
            || reached(
                self.consecutive_gateway_errors,
                settings.consecutive_gateway_errors,
            )
    }

    /// The interval ends: `true` if the success rate asks for an ejection. Starts the next one.
    pub fn end_interval(&mut self, settings: &OutlierDetection, now: Instant) -> bool {
        let (requests, successes) = (self.requests, self.successes);
        self.requests = 0;
        self.successes = 0;
        if self.is_ejected(now) {
            return false;
        }
        let enough = requests > 0 && requests >= settings.success_rate_min_requests;
        let below = u64::from(successes) * 100
            < u64::from(requests) * u64::from(settings.success_rate_minimum);
        if settings.success_rate_minimum > 0 && enough && below {
            return true;
        }
        // An interval without an ejection is an interval of good conduct.
        if self.ejected_until.take().is_none() {
            self.ejections = self.ejections.saturating_sub(1);
        }
        false
    }

    /// Ejects it: the first time for the base, the n-th time in a row n times as long.
    pub fn eject(&mut self, settings: &OutlierDetection, now: Instant) -> Duration {
        self.ejections = self.ejections.saturating_add(1);
        let base = Duration::from_millis(settings.base_ejection_time);
        let duration = base
            .saturating_mul(self.ejections)
            .min(LONGEST_EJECTION.max(base));
        self.ejected_until = now.checked_add(duration);
        self.consecutive_errors = 0;
        self.consecutive_gateway_errors = 0;
        duration
    }
}

fn reached(count: u32, limit: u32) -> bool {
    limit > 0 && count >= limit
}

/// Whether one more of `total` endpoints may be ejected when `ejected` are. A lone endpoint is
/// never ejected, of several at least one may be.
pub fn may_eject(settings: &OutlierDetection, ejected: usize, total: usize) -> bool {
    if total < 2 || settings.max_ejection_percent == 0 {
        return false;
    }
    let share = total as u64 * u64::from(settings.max_ejection_percent.min(100)) / 100;
    (ejected as u64) < share.max(1)
}

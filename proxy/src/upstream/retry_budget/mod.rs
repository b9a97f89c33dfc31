//! How many retries may be added to the traffic: a share of the requests of the last ten
//! seconds, plus a few per second that are always allowed. Without a budget, retries multiply
//! the load on a service exactly when it can bear the least.

use std::time::{Duration, Instant};

use weft_engine::documents::RetryBudget as Settings;

#[cfg(test)]
mod tests;

const BUCKETS: usize = 10;
const BUCKET: Duration = Duration::from_secs(1);

/// The budget of one service port on one worker.
#[derive(Debug)]
pub struct RetryBudget {
    /// Requests and retries by second, as a ring.
    buckets: [Bucket; BUCKETS],
    head: usize,
    head_began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    requests: u32,
    retries: u32,
}

impl RetryBudget {
    /// An empty window.
    pub fn new(now: Instant) -> Self {
        Self {
            buckets: [Bucket::default(); BUCKETS],
            head: 0,
            head_began: now,
        }
    }

    /// A request (not a retry) begins.
    pub fn request(&mut self, now: Instant) {
        let bucket = self.advance(now);
        bucket.requests = bucket.requests.saturating_add(1);
    }

    /// Takes one retry out of the budget; `false` when it is spent.
    ///
    /// `workers` is the number of workers that share the minimum; each has its own window and
    /// sees its own share of the requests.
    pub fn withdraw(&mut self, settings: &Settings, workers: u32, now: Instant) -> bool {
        if !self.has_room(settings, workers, now) {
            return false;
        }
        let bucket = self.advance(now);
        bucket.retries = bucket.retries.saturating_add(1);
        true
    }

    /// Whether a retry could be taken out of it now.
    pub fn has_room(&mut self, settings: &Settings, workers: u32, now: Instant) -> bool {
        self.advance(now);
        let (requests, retries) =
            self.buckets
                .iter()
                .fold((0u64, 0u64), |(requests, retries), bucket| {
                    (
                        requests + u64::from(bucket.requests),
                        retries + u64::from(bucket.retries),
                    )
                });
        let share = requests * u64::from(settings.percent) / 100;
        let minimum = (u64::from(settings.min_per_second) * BUCKETS as u64)
            .div_ceil(u64::from(workers.max(1)));
        retries < share + minimum
    }

    /// Moves the ring to `now` and gives its current bucket.
    fn advance(&mut self, now: Instant) -> &mut Bucket {
        let elapsed = now.saturating_duration_since(self.head_began);
        let steps = elapsed.as_secs() / BUCKET.as_secs();
        if steps > 0 {
            for _ in 0..steps.min(BUCKETS as u64) {
                self.head = (self.head + 1) % BUCKETS;
                if let Some(bucket) = self.buckets.get_mut(self.head) {
                    *bucket = Bucket::default();
                }
            }
            self.head_began += BUCKET * u32::try_from(steps).unwrap_or(u32::MAX);
        }
        // `head` is a remainder of BUCKETS, so the fallback is never taken.
        let head = self.head.min(BUCKETS - 1);
        let [first, rest @ ..] = &mut self.buckets;
        match head.checked_sub(1).and_then(|index| rest.get_mut(index)) {
            Some(bucket) => bucket,
            None => first,
        }
    }
}

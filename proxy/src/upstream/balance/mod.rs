//! Which endpoint takes the next request.
//!
//! Pure: the clock and the randomness are passed in, so each promise can be tested.

mod ewma;

#[cfg(test)]
mod tests;

pub use ewma::PeakEwma;

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use weft_engine::documents::LoadBalancing;

/// An endpoint as far as balancing is concerned.
pub trait Candidate {
    /// Requests (or connections) under way.
    fn outstanding(&self) -> u32;
    /// The expected wait for one more request, in seconds; see [`PeakEwma::cost`].
    fn cost(&self, now: Instant) -> f64;
    /// Whether it is neither ejected nor passed over.
    fn available(&self, now: Instant) -> bool;
}

/// Picks endpoints. Holds what the algorithms remember between picks: a cursor and a generator.
#[derive(Debug)]
pub struct Picker {
    cursor: Cell<usize>,
    random: RefCell<fastrand::Rng>,
}

impl Default for Picker {
    fn default() -> Self {
        Self::with_seed(fastrand::u64(..))
    }
}

impl Picker {
    /// A picker whose draws follow from `seed`. The round robin starts anywhere, so that the
    /// workers of many proxies do not all begin with the same endpoint.
    pub fn with_seed(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            cursor: Cell::new(random.usize(..usize::MAX / 2)),
            random: RefCell::new(random),
        }
    }

    /// A uniform draw over `u64`, for picks by weight.
    pub fn draw(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }

    /// Picks one of `candidates`.
    ///
    /// Prefers what is available and not to be avoided (an earlier attempt's endpoint), then what
    /// is available, then anything: when every endpoint is ejected, the ejections say more about
    /// the detection than about the endpoints, and refusing all traffic would be worse (panic
    /// mode). `None` only when there are no candidates.
    pub fn pick<'c, C: Candidate>(
        &self,
        algorithm: LoadBalancing,
        candidates: &'c [C],
        avoid: impl Fn(&C) -> bool,
        now: Instant,
    ) -> Option<&'c C> {
        self.pick_among(algorithm, candidates, now, |candidate| {
            candidate.available(now) && !avoid(candidate)
        })
        .or_else(|| {
            self.pick_among(algorithm, candidates, now, |candidate| {
                candidate.available(now)
            })
        })
        .or_else(|| self.pick_among(algorithm, candidates, now, |candidate| !avoid(candidate)))
        .or_else(|| self.pick_among(algorithm, candidates, now, |_| true))
    }

    fn pick_among<'c, C: Candidate>(
        &self,
        algorithm: LoadBalancing,
        candidates: &'c [C],
        now: Instant,
        eligible: impl Fn(&C) -> bool,
    ) -> Option<&'c C> {
        match algorithm {
            LoadBalancing::RoundRobin => self.next_in_turn(candidates, eligible),
            LoadBalancing::Random => self.any(candidates, eligible),
            LoadBalancing::LeastRequest => {
                let (one, other) = self.two(candidates, eligible)?;
                Some(match other {
                    Some(other) if other.outstanding() < one.outstanding() => other,
                    _ => one,
                })
            }
            LoadBalancing::PeakEwma => {
                let (one, other) = self.two(candidates, eligible)?;
                let Some(other) = other else { return Some(one) };
                // The cheaper of the two, but not always: with odds by the squares of the costs,
                // endpoints of much the same latency share the traffic evenly (a strict comparison
                // herds everything onto whichever is faster by a microsecond), twice the cost gets
                // a fifth, ten times the cost a hundredth: enough to notice a recovery.
                let (a, b) = (one.cost(now), other.cost(now));
                let (a2, b2) = (a * a, b * b);
                let total = a2 + b2;
                let draw = self.random.borrow_mut().f64();
                Some(if total > 0.0 && draw * total < a2 {
                    other
                } else {
                    one
                })
            }
        }
    }

    fn next_in_turn<'c, C>(
        &self,
        candidates: &'c [C],
        eligible: impl Fn(&C) -> bool,
    ) -> Option<&'c C> {
        let length = candidates.len();
        for step in 0..length {
            let position = self.cursor.get().wrapping_add(step);
            let candidate = candidates.get(position % length)?;
            if eligible(candidate) {
                self.cursor.set(position.wrapping_add(1));
                return Some(candidate);
            }
        }
        None
    }

    /// One eligible candidate, uniformly. A few blind draws find one at once in the common case;
    /// the scan (reservoir sampling) is for when most are not eligible.
    fn any<'c, C>(&self, candidates: &'c [C], eligible: impl Fn(&C) -> bool) -> Option<&'c C> {
        let mut random = self.random.borrow_mut();
        if candidates.is_empty() {
            return None;
        }
        for _ in 0..3 {
            let candidate = candidates.get(random.usize(..candidates.len()))?;
            if eligible(candidate) {
                return Some(candidate);
            }
        }
        let mut chosen = None;
        let eligible = candidates.iter().filter(|candidate| eligible(candidate));
        for (seen, candidate) in eligible.enumerate() {
            if random.usize(..=seen) == 0 {
                chosen = Some(candidate);
            }
        }
        chosen
    }

    /// Two different eligible candidates in random order; the second is missing when there is
    /// only one.
    fn two<'c, C>(
        &self,
        candidates: &'c [C],
        eligible: impl Fn(&C) -> bool,
    ) -> Option<(&'c C, Option<&'c C>)> {
        let one = self.any(candidates, &eligible)?;
        let other = self.any(candidates, |candidate| {
            !std::ptr::eq(candidate, one) && eligible(candidate)
        });
        Some((one, other))
    }
}

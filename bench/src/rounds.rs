//! Rounds of one peer, and what is made of them.

use crate::{cpu, figures::Figure, statistics::Summary};

/// What others may use of the machine before a round is repeated.
pub const FOREIGN: f64 = 0.08;

/// CPU of what was counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// CPU-seconds for 10,000 of them.
    pub cpu: f64,
    /// How many per second.
    pub per_second: f64,
    /// The share of the machine that others used.
    pub foreign: f64,
}

impl Counted {
    /// `count` of them were had for `spent`.
    pub fn of(spent: cpu::Spent, count: u64) -> Self {
        Self {
            cpu: spent.measured.as_secs_f64() / count.max(1) as f64 * 10_000.0,
            per_second: count as f64 / spent.elapsed.as_secs_f64(),
            foreign: spent.foreign,
        }
    }

    /// Whether others left the machine alone.
    pub fn calm(&self) -> bool {
        self.foreign <= FOREIGN
    }
}

/// The rounds of one peer. Where one was calm, those that were not do not count.
pub fn summed(peer: String, rounds: &[Counted]) -> Figure {
    let calm = rounds.iter().any(Counted::calm);
    let counted: Vec<&Counted> = rounds
        .iter()
        .filter(|round| !calm || round.calm())
        .collect();
    let of = |value: fn(&Counted) -> f64| {
        Summary::of(&counted.iter().map(|round| value(round)).collect::<Vec<_>>())
    };
    Figure {
        peer,
        cpu: of(|round| round.cpu),
        per_second: of(|round| round.per_second),
        rounds: counted.len(),
        disturbed: !calm,
        foreign: of(|round| round.foreign).median,
        ..Figure::default()
    }
}

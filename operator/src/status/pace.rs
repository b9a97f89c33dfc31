use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use weft_crds::{
    ObjectRef,
    status::{Condition, Status},
};

/// A new generation that some proxies do not have yet is not told at once: most have it within
/// this, and one write says the end of it.
const HOPE: Duration = Duration::from_millis(250);

/// The least time between two counts while proxies are catching up.
const CATCHING_UP: Duration = Duration::from_millis(500);

/// How long proxies may be behind what they once were said to have before that is told: one that
/// starts from an old state on its disk catches up by itself.
const RELAPSE: Duration = Duration::from_secs(3);

/// How long proxies that come and go are gathered, and the least time between two such counts.
const COMING_AND_GOING: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// When a status that differs from the one that stands is told: what an owner waits for at once,
/// what only counts proxies seldom, and never the same twice.
#[derive(Debug, Default)]
pub struct Pace {
    told: HashMap<ObjectRef, Instant>,
    differing: HashMap<ObjectRef, (Kind, Instant)>,
}

/// How a status differs from the one that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A generation that not every proxy has.
    Begins(Option<i64>),
    /// Other proxies are behind than were.
    CatchesUp,
    /// Proxies are behind that were not.
    Relapses,
    /// Other proxies have it than had it, and all that there are.
    Counts,
    /// Anything else.
    Tells,
}

impl Pace {
    /// From when on `after` may be told, where `before` stands.
    pub fn due(
        &mut self,
        object: &ObjectRef,
        before: Option<&Status>,
        after: &Status,
        now: Instant,
    ) -> Instant {
        let kind = kind(before, after);
        let since = match self.differing.get(object) {
            Some((known, since)) if *known == kind => *since,
            _ => now,
        };
        self.differing.insert(object.clone(), (kind, since));
        let last = |least: Duration| self.told.get(object).map_or(since, |told| *told + least);
        match kind {
            Kind::Tells => now,
            Kind::Begins(_) => since + HOPE,
            Kind::CatchesUp => last(CATCHING_UP),
            Kind::Relapses => since + RELAPSE,
            Kind::Counts => last(COMING_AND_GOING.1).max(since + COMING_AND_GOING.0),
        }
    }

    /// The status that stands is the right one.
    pub fn settled(&mut self, object: &ObjectRef) {
        self.differing.remove(object);
    }

    /// Another status was written.
    pub fn told(&mut self, object: &ObjectRef, now: Instant) {
        self.differing.remove(object);
        self.told.insert(object.clone(), now);
    }

    /// Whether an object's status differs from the one that stands.
    pub fn is_differing(&self, object: &ObjectRef) -> bool {
        self.differing.contains_key(object)
    }

    /// An object is gone.
    pub fn forget(&mut self, object: &ObjectRef) {
        self.differing.remove(object);
        self.told.remove(object);
    }
}

fn kind(before: Option<&Status>, after: &Status) -> Kind {
    let known = before.filter(|before| before.observed_generation == after.observed_generation);
    let Some(before) = known else {
        return if waits_for_proxies(after) {
            Kind::Begins(after.observed_generation)
        } else {
            Kind::Tells
        };
    };
    match (waits_for_proxies(before), waits_for_proxies(after)) {
        (true, true) => Kind::CatchesUp,
        (false, true) if is_programmed(before) => Kind::Relapses,
        (false, false) if without_counts(before) == without_counts(after) => Kind::Counts,
        _ => Kind::Tells,
    }
}

fn programmed(status: &Status) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.kind == "Programmed")
}

fn is_programmed(status: &Status) -> bool {
    programmed(status).is_some_and(|condition| condition.status == "True")
}

/// Whether an object's proxies do not all have it.
pub fn waits_for_proxies(status: &Status) -> bool {
    programmed(status).is_some_and(|condition| {
        condition.status == "False"
            && ["PartiallyProgrammed", "RefusedByProxy", "Pending"].contains(&&*condition.reason)
    })
}

fn without_counts(status: &Status) -> Status {
    let mut status = status.clone();
    status.proxies = None;
    status.programmed = None;
    for condition in &mut status.conditions {
        if ["Ready", "Programmed"].contains(&&*condition.kind) && condition.status == "True" {
            condition.message.clear();
        }
    }
    status
}

#[cfg(test)]
mod tests;

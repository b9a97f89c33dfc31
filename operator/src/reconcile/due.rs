use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use tokio::time::Instant;

/// What waits, each thing once, by the moment from which it may be taken.
///
/// Marking a thing that waits already never puts it off: a burst of changes is one piece of
/// work, and one that never ends cannot starve it.
#[derive(Debug)]
pub(super) struct Due<T> {
    by_time: BTreeSet<(Instant, T)>,
    times: HashMap<T, Instant>,
}

impl<T: Clone + Ord + Hash> Due<T> {
    /// Nothing waits.
    pub(super) fn new() -> Self {
        Self {
            by_time: BTreeSet::new(),
            times: HashMap::new(),
        }
    }

    /// Takes `thing` from `at` on, or sooner if it was to be taken sooner.
    pub(super) fn mark(&mut self, thing: T, at: Instant) {
        if let Some(before) = self.times.get(&thing).copied() {
            if before <= at {
                return;
            }
            self.by_time.remove(&(before, thing.clone()));
        }
        self.times.insert(thing.clone(), at);
        self.by_time.insert((at, thing));
    }

    /// The next thing whose moment has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<T> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, thing) = self.by_time.pop_first()?;
        self.times.remove(&thing);
        Some(thing)
    }

    /// Forgets a thing.
    pub(super) fn forget(&mut self, thing: &T) {
        if let Some(at) = self.times.remove(thing) {
            self.by_time.remove(&(at, thing.clone()));
        }
    }

    /// When the next thing may be taken.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Whether a thing waits.
    pub(super) fn contains(&self, thing: &T) -> bool {
        self.times.contains_key(thing)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Nothing waits any more.
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.by_time.clear();
    }
}

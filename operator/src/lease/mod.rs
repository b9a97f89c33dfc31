//! Who leads: one operator writes, the others keep warm caches.
//!
//! A Lease (coordination.k8s.io/v1) is taken by an update that the API server refuses when
//! somebody else was faster (resourceVersion). Clocks of different machines are never
//! compared: a candidate takes over when it has not *seen* the lease change for as long as the
//! lease lasts.

/// What to do about a lease, as a pure state.
mod claim;
/// The loop that does it.
mod election;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

pub use claim::{Claim, Record, Step, Timing};
pub use election::Election;

/// Whether this operator leads, for everything that writes.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Until when it is safe to write: nobody else may lead before.
    term: watch::Receiver<Option<Instant>>,
}

/// The other end: whoever runs the election.
#[derive(Debug)]
pub struct Term(watch::Sender<Option<Instant>>);

impl Leadership {
    /// Not leading yet.
    pub fn new() -> (Term, Self) {
        let (sender, term) = watch::channel(None);
        (Term(sender), Self { term })
    }

    /// Leads always: there is nobody else.
    pub fn alone() -> Self {
        // A year at a time is for ever, for a process.
        let until = Instant::now() + Duration::from_secs(365 * 24 * 3600);
        let (_, term) = watch::channel(Some(until));
        Self { term }
    }

    /// Whether this operator may write now.
    pub fn holds(&self) -> bool {
        self.term
            .borrow()
            .is_some_and(|until| Instant::now() < until)
    }

    /// Waits until leadership was gained or lost.
    pub async fn changed(&mut self) {
        if self.term.changed().await.is_err() {
            // No election: nothing ever changes.
            std::future::pending::<()>().await;
        }
    }

    /// Runs a write, and cuts it off when the right to write ends. `None`: it was cut off, or
    /// never begun.
    pub async fn guard<T>(&self, write: impl Future<Output = T>) -> Option<T> {
        let until = (*self.term.borrow()).filter(|until| Instant::now() < *until)?;
        timeout_at(until, write).await.ok()
    }
}

impl Term {
    /// Leads until then. Only the start of a term wakes those who wait.
    pub fn lead_until(&self, until: Instant) {
        self.0
            .send_if_modified(|term| term.replace(until).is_none());
    }

    /// Does not lead.
    pub fn end(&self) {
        self.0.send_if_modified(|term| term.take().is_some());
    }
}

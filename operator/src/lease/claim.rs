use std::time::Duration;

use tokio::time::Instant;

/// The three times of an election.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a lease lasts after its last renewal.
    pub duration: Duration,
    /// How often the leader renews it.
    pub renew: Duration,
    /// How often the others look.
    pub retry: Duration,
}

impl Timing {
    /// Renewals at 3/10 of the duration, looks at a fifth: 10 s, 3 s and 2 s by default.
    pub fn lasting(duration: Duration) -> Self {
        Self {
            duration,
            renew: duration.mul_f64(0.3),
            retry: duration.mul_f64(0.2),
        }
    }

    /// How long after the start of its last successful renewal the leader stops writing: well
    /// before the others may take over, so that a write that is under way has ended by then.
    pub fn deadline(&self) -> Duration {
        self.duration.mul_f64(0.8)
    }
}

/// What the Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty when it was released.
    pub holder: String,
    /// The last renewal, as the holder's clock has it: compared for change only.
    pub renewed: String,
    /// How often it changed hands.
    pub transitions: i32,
    /// How long the holder said that it lasts.
    pub duration: Duration,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write ourselves into the Lease, with this many transitions.
    Take {
        /// The value for `leaseTransitions`.
        transitions: i32,
    },
    /// Renew what is ours.
    Renew {
        /// The value for `leaseTransitions`.
        transitions: i32,
    },
    /// Somebody else leads; look again then.
    Wait,
}

/// One candidate's view of the lease.
#[derive(Debug)]
pub struct Claim {
    identity: String,
    timing: Timing,
    seen: Option<(Record, Instant)>,
}

impl Claim {
    /// A candidate of this name. Names must differ between processes, restarts included.
    pub fn new(identity: String, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            seen: None,
        }
    }

    /// This candidate's name.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What to do, now that the Lease says `record` (`None`: there is none).
    pub fn step(&mut self, record: Option<Record>, now: Instant) -> Step {
        let Some(record) = record else {
            self.seen = None;
            return Step::Take { transitions: 0 };
        };
        if record.holder == self.identity {
            let transitions = record.transitions;
            self.seen = Some((record, now));
            return Step::Renew { transitions };
        }
        if record.holder.is_empty() {
            let transitions = record.transitions.saturating_add(1);
            self.seen = Some((record, now));
            return Step::Take { transitions };
        }
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        // A holder with longer leases than ours is given its time.
        let lasts = record.duration.max(self.timing.duration);
        let transitions = record.transitions.saturating_add(1);
        self.seen = Some((record, since));
        if now.duration_since(since) >= lasts {
            Step::Take { transitions }
        } else {
            Step::Wait
        }
    }
}

//! Processes that run ahead of everything else on the machine for a while.

use std::process::{Command, Stdio};

/// Keeps the calling thread, the threads that it starts meanwhile and the given processes ahead of
/// all others until dropped.
///
/// A tail of some milliseconds belongs to the machine otherwise: a supervisor that takes a core for
/// 10 ms once a second delays 1 % of all requests, and so decides the 99th percentile of every
/// peer. Ahead is the lowest real-time priority (`SCHED_RR`, sched(7)), given by chrt(1).
#[derive(Debug)]
pub struct Ahead {
    moved: Vec<Scheduled>,
    is_whole: bool,
}

/// What has a place in the scheduler's queues.
#[derive(Clone, Copy, Debug)]
enum Scheduled {
    /// A process with all its threads.
    Process(u32),
    /// One thread.
    Thread(u32),
}

impl Ahead {
    /// Puts this thread and those processes ahead, as far as the system allows.
    pub fn of(processes: &[u32]) -> Self {
        let own = Scheduled::Thread(nix::unistd::gettid().as_raw().unsigned_abs());
        let wanted: Vec<_> = std::iter::once(own)
            .chain(processes.iter().copied().map(Scheduled::Process))
            .collect();
        let moved: Vec<_> = wanted
            .iter()
            .copied()
            .filter(|one| one.give("--rr", "1"))
            .collect();
        Self {
            is_whole: moved.len() == wanted.len(),
            moved,
        }
    }

    /// Whether all of them are ahead.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        for one in &self.moved {
            one.give("--other", "0");
        }
    }
}

impl Scheduled {
    fn give(self, policy: &str, priority: &str) -> bool {
        let mut command = Command::new("chrt");
        command.arg(policy);
        let id = match self {
            Self::Process(id) => {
                command.arg("--all-tasks");
                id
            }
            Self::Thread(id) => id,
        };
        command
            .args(["--pid", priority, &id.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests;

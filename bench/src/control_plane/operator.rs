use std::{
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use super::stage::Stage;
use crate::{
    BenchError, cpu,
    footprint::peak_kib,
    running::{Running, free, get},
};

/// How long it has to give its Lease back.
const GRACE: Duration = Duration::from_secs(15);

static STARTS: AtomicUsize = AtomicUsize::new(0);

/// A running operator, with its own account's rights.
pub(super) struct Operator {
    process: Running,
    metrics: SocketAddr,
    /// When it was started.
    pub(super) began: Instant,
    peak_kib: u64,
}

/// What it has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Documents stored and withdrawn.
    pub(super) documents: u64,
    /// Statuses written.
    pub(super) statuses: u64,
    /// Writes that failed.
    pub(super) failures: u64,
}

impl Counted {
    /// Everything that was written.
    pub(super) fn writes(&self) -> u64 {
        self.documents + self.statuses
    }
}

impl Operator {
    pub(super) fn start(stage: &Stage) -> Result<Self, BenchError> {
        let metrics = free()?;
        let mut command = Command::new(&stage.operator);
        command
            .arg("cluster")
            .args(["--metrics", &metrics.to_string()])
            .args(["--reports", &stage.reports.to_string()])
            .env("KUBECONFIG", &stage.operator_kubeconfig);
        let number = STARTS.fetch_add(1, Ordering::Relaxed);
        let log = stage.path(&format!("operator-{number}.log"));
        Ok(Self {
            process: Running::start("weft-operator", command, log)?,
            metrics,
            began: Instant::now(),
            peak_kib: 0,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its processor time so far.
    pub(super) fn cpu(&self) -> Duration {
        cpu::exact(self.pid())
    }

    /// The most that was ever resident.
    pub(super) fn peak_kib(&self) -> u64 {
        self.peak_kib.max(peak_kib(self.pid()))
    }

    /// Whether its first full lowering is written.
    pub(super) fn is_ready(&self) -> bool {
        matches!(get(self.metrics, "localhost", "/readyz"), Some((200, _)))
    }

    /// What it has counted; nothing while it does not answer.
    pub(super) fn counted(&self) -> Counted {
        let text = get(self.metrics, "localhost", "/metrics");
        let text = text.map_or_else(String::new, |(_, body)| {
            String::from_utf8_lossy(&body).into_owned()
        });
        let sum = |name: &str| sum(&text, name);
        Counted {
            documents: sum("weft_operator_documents_written_total")
                + sum("weft_operator_documents_withdrawn_total"),
            statuses: sum("weft_operator_statuses_written_total"),
            failures: sum("weft_operator_write_failures_total"),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// An error about it.
    pub(super) fn error(&self, reason: impl Into<String>) -> BenchError {
        self.process.error(reason)
    }

    /// Ends it in order.
    pub(super) fn stop(&mut self) {
        self.peak_kib = self.peak_kib();
        self.process.stop(GRACE);
    }
}

/// The sum of a counter over its labels, from the text of a scrape.
fn sum(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with([' ', '{']))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests;

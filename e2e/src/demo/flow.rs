//! Steady traffic in the background: a fixed rate, every outcome counted.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};

use super::clients::{Clients, Reply};

/// Requests under way at most. One that finds no place waits for one, and the wait counts in its
/// latency: a request without an answer fails by its own time-out, and a machine that stood still for
/// a moment, this process with it, is no failure of the mesh.
const IN_FLIGHT: usize = 256;

/// A flow ends by itself after this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The header that an edit of the samples changes.
const EDITION: &str = "x-edition";

/// What came of the requests since the last [`Flow::take`].
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) succeeded: u64,
    /// Those answered by an instance of version v2.
    pub(super) by_v2: u64,
    /// Why requests failed: at most eight reasons, and how many failed in all.
    pub(super) failures: Vec<String>,
    pub(super) failed: u64,
    latencies: Vec<Duration>,
}

impl Tally {
    /// The latency that `percent` of the requests did not exceed.
    pub(super) fn percentile(&mut self, percent: usize) -> Duration {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let index = self.latencies.len() * percent / 100;
        let found = self.latencies.get(index.min(last));
        found.copied().unwrap_or_default()
    }

    fn fail(&mut self, reason: String) {
        self.failed += 1;
        if self.failures.len() < 8 {
            self.failures.push(reason);
        }
    }
}

/// Traffic that flows until it is dropped.
#[derive(Debug)]
pub(super) struct Flow {
    tally: Arc<Mutex<Tally>>,
    edition: watch::Receiver<(u64, Instant)>,
    task: JoinHandle<()>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Flow {
    /// `rate` requests a second, `GET http://<host><path>` through `address`.
    pub(super) fn start(
        clients: &Clients,
        rate: u32,
        address: SocketAddr,
        host: &'static str,
        path: &'static str,
    ) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (seen, edition) = watch::channel((0, Instant::now()));
        let seen = Arc::new(seen);
        let clients = clients.clone();
        let counted = Arc::clone(&tally);
        let task = tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(IN_FLIGHT));
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let end = Instant::now() + LONGEST;
            while Instant::now() < end {
                let due = ticks.tick().await.into_std();
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let (clients, seen) = (clients.clone(), Arc::clone(&seen));
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let outcome = clients.get(address, host, path).await;
                    match outcome {
                        Ok(reply) => record(&reply, due, &counted, &seen),
                        Err(error) => lock(&counted).fail(error.to_string()),
                    }
                    drop(place);
                });
            }
        });
        Self {
            tally,
            edition,
            task,
        }
    }

    /// What came of the requests since the last call.
    pub(super) fn take(&self) -> Tally {
        std::mem::take(&mut *lock(&self.tally))
    }

    /// When the first response of an edition (or a later one) arrived; `None` if it does not
    /// within `bound`.
    pub(super) async fn edition_seen(&mut self, edition: u64, bound: Duration) -> Option<Instant> {
        let seen = self.edition.wait_for(|(newest, _)| *newest >= edition);
        let (_, when) = *tokio::time::timeout(bound, seen).await.ok()?.ok()?;
        Some(when)
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(reply: &Reply, due: Instant, tally: &Mutex<Tally>, seen: &watch::Sender<(u64, Instant)>) {
    let arrived = Instant::now();
    let newest = reply.header(EDITION).parse().unwrap_or(0);
    seen.send_if_modified(|(edition, when)| {
        let newer = newest > *edition;
        if newer {
            (*edition, *when) = (newest, arrived);
        }
        newer
    });
    let answer = reply.status.is_success().then(|| reply.answer());
    let mut tally = lock(tally);
    match answer {
        Some(Ok(answer)) => {
            tally.succeeded += 1;
            tally.by_v2 += u64::from(answer.by.version == "v2");
            // An hour at 200/s; a live demo takes every two seconds.
            if tally.latencies.len() < 720_000 {
                tally.latencies.push(arrived - due);
            }
        }
        _ => tally.fail(format!("{}: {}", reply.status.as_u16(), reply.text())),
    }
}

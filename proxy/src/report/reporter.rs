use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use weft_engine::{documents::ReportTo, report::Report};

use super::{
    difference::{News, Snapshot, Thread, snapshot},
    line::{Line, LineError},
};
use crate::{
    config::ConfigStore,
    drain::Drain,
    identity::IdentityStore,
    observe::{Recorder, families::REPORTS},
};

/// How long swaps are gathered: a change is often a few documents in a row.
const GATHER: Duration = Duration::from_millis(10);

/// How long news may wait that no status waits for.
const LATE: Duration = Duration::from_secs(2);

/// How long a connection is kept after the last news.
const LINGER: Duration = Duration::from_secs(10);

/// The pauses after failures: doubled each time, with the upper half random.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Within how long the proxies come to a new leader.
const HERD: Duration = Duration::from_secs(1);

/// Failures in a row that are worth one line of the log.
const SAID: u32 = 4;

/// How long the last word may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Tells the operator what is active, for the process's life.
#[derive(Debug)]
pub struct Reporter {
    pod: String,
    boot: String,
    config: ConfigStore,
    identity: IdentityStore,
    drain: Drain,
    metrics: Recorder,
    thread: Thread,
    line: Option<Line>,
    /// The operator that was tried last.
    to: Option<ReportTo>,
    failures: u32,
}

impl Reporter {
    /// A reporter for the proxy of `pod`.
    pub fn new(
        pod: String,
        config: ConfigStore,
        identity: IdentityStore,
        drain: Drain,
        metrics: Recorder,
    ) -> Self {
        Self {
            pod,
            boot: format!("{:016x}", fastrand::u64(..)),
            config,
            identity,
            drain,
            metrics,
            thread: Thread::default(),
            line: None,
            to: None,
            failures: 0,
        }
    }

    /// Runs until the drain begins.
    pub async fn run(mut self) {
        let drain = self.drain.clone();
        tokio::select! {
            () = drain.started() => {}
            () = self.report() => {}
        }
        // What is not heard shows when the pod is gone.
        let _ = timeout(GOODBYE, self.say_goodbye()).await;
    }

    async fn report(&mut self) {
        let mut changes = self.config.changes();
        // The next heartbeat or, after a failure, attempt.
        let mut due = Instant::now();
        // Before that, a new leader is left to the others.
        let mut turn = due;
        loop {
            changes.borrow_and_update();
            if let Some(pause) = self.meet() {
                turn = Instant::now() + pause;
                due = turn;
            }
            let is_due = Instant::now() >= due;
            let mut gather = GATHER;
            if self.to.is_some() && (is_due || self.failures == 0) {
                let began = Instant::now();
                let now = snapshot(self.config.active());
                match self.thread.news(&now) {
                    News::Pressing => due = began.max(turn),
                    News::Late => due = due.min(began + LATE),
                    News::None => {}
                }
                // Looking costs a tenth of the time at most, however much is active.
                gather = gather.max(began.elapsed() * 10);
                if Instant::now() >= due {
                    due = Instant::now() + self.tell(now).await;
                }
            }
            let linger = Instant::now() + LINGER;
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => sleep(gather).await,
                    // The config ends with the process.
                    Err(_) => return,
                },
                () = sleep_until(due), if self.to.is_some() => {}
                () = sleep_until(linger), if self.line.is_some() => self.line = None,
            }
        }
    }

    /// Looks who leads. Another leader knows nothing of us, and has nothing to do with its
    /// predecessor's silence; how long to wait, so that not every proxy comes at once.
    fn meet(&mut self) -> Option<Duration> {
        let to = self.config.mesh().and_then(|mesh| mesh.report_to.clone());
        if to == self.to {
            return None;
        }
        let is_first = self.to.is_none();
        self.to = to;
        self.line = None;
        self.failures = 0;
        self.thread.lose();
        Some(if is_first {
            Duration::ZERO
        } else {
            HERD.mul_f64(fastrand::f64())
        })
    }

    /// Tells, and gives the time until something is to be told again.
    async fn tell(&mut self, now: Snapshot) -> Duration {
        let result = self.exchange(&now).await;
        let label = if result.is_ok() { "taken" } else { "failed" };
        self.metrics.counter(&REPORTS, &[label]).inc();
        match result {
            Ok(heartbeat) => {
                if self.failures >= SAID {
                    tracing::info!("the operator hears again what is active");
                }
                self.failures = 0;
                self.thread.took(now);
                heartbeat.mul_f64(0.8 + 0.2 * fastrand::f64())
            }
            Err(error) => {
                self.line = None;
                self.failures = self.failures.saturating_add(1);
                tracing::debug!(%error, failures = self.failures, "a report did not arrive");
                if self.failures == SAID {
                    tracing::info!(%error, "the operator does not hear what is active; it is tried again, traffic does not depend on it");
                }
                let doubled = PAUSES.0.saturating_mul(1 << (self.failures - 1).min(16));
                doubled.min(PAUSES.1).mul_f64(0.5 + fastrand::f64() / 2.0)
            }
        }
    }

    async fn exchange(&mut self, now: &Snapshot) -> Result<Duration, LineError> {
        let mut again = 2;
        loop {
            let report = self.thread.next(&self.pod, &self.boot, now);
            let (mut line, is_new) = self.open().await?;
            match line.tell(&report).await {
                Ok(heartbeat) => {
                    self.line = Some(line);
                    return Ok(heartbeat);
                }
                Err(LineError::Everything) if again > 0 => {
                    self.thread.lose();
                    self.line = Some(line);
                }
                // A connection that was kept may have been closed a moment ago.
                Err(LineError::Lost(_)) if again > 0 && !is_new => {}
                Err(error) => return Err(error),
            }
            again -= 1;
        }
    }

    /// The connection that is open, or a new one. It is taken out, so that who is cut off in the
    /// middle of a report leaves none behind that is out of step.
    async fn open(&mut self) -> Result<(Line, bool), LineError> {
        let (Some(to), Some(identity)) = (&self.to, self.identity.active()) else {
            return Err(LineError::Nobody);
        };
        match self.line.take() {
            Some(line) if line.serves(to, &identity) => Ok((line, false)),
            _ => Ok((Line::dial(to, &identity).await?, true)),
        }
    }

    async fn say_goodbye(&mut self) -> Result<(), LineError> {
        if self.to.is_none() || self.failures > 0 {
            return Ok(());
        }
        let report = Report {
            pod: self.pod.clone(),
            boot: self.boot.clone(),
            leaving: true,
            ..Report::default()
        };
        let (mut line, _) = self.open().await?;
        line.tell(&report).await.map(drop)
    }
}

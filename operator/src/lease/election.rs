use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Claim, Record, Step, Term, Timing};
use crate::{
    metrics::Metrics,
    publish::{FIELD_MANAGER, MANAGED_BY, MANAGED_BY_WEFT},
};

const NAME: &str = "weft-operator";

/// Runs for leadership, and keeps it.
pub struct Election {
    api: Api<Lease>,
    namespace: String,
    timing: Timing,
    claim: Claim,
    term: Term,
    metrics: Metrics,
    /// Until when the last renewal lets this operator write; `None`: it does not lead.
    until: Option<Instant>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(
        "Lease {NAME}: {0}; check the Role weft-operator in the operator's namespace and that the API server is reachable"
    )]
    Api(#[from] kube::Error),
    #[error("Lease {NAME}: the API server did not answer in time")]
    Timeout,
}

impl Election {
    /// An election over the Lease `weft-operator` in `namespace`.
    pub fn new(
        client: Client,
        namespace: &str,
        identity: String,
        timing: Timing,
        term: Term,
        metrics: Metrics,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            timing,
            claim: Claim::new(identity, timing),
            term,
            metrics,
            until: None,
        }
    }

    /// Runs until `stop` is cancelled, then releases the lease if it is ours.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = self.turn().await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        self.release().await;
    }

    /// One look at the lease and what follows from it; says how long to wait.
    async fn turn(&mut self) -> Duration {
        let started = Instant::now();
        match self.round().await {
            Ok(true) => {
                let until = started + self.timing.deadline();
                if self.until.replace(until).is_none() {
                    tracing::info!(identity = self.claim.identity(), "leading");
                }
                self.term.lead_until(until);
                self.metrics.leader.set(1);
                self.timing.renew
            }
            Ok(false) => {
                self.step_down("another operator holds the lease");
                self.timing.retry
            }
            Err(error) => {
                tracing::warn!(%error, "the lease was not renewed or read");
                if self.until.is_some_and(|until| Instant::now() >= until) {
                    self.step_down("the lease could not be renewed in time");
                }
                // Sooner than usual: a leader that misses one renewal has time for two more.
                self.timing.retry / 2
            }
        }
    }

    fn step_down(&mut self, reason: &str) {
        self.term.end();
        self.metrics.leader.set(0);
        if self.until.take().is_some() {
            tracing::warn!(reason, "leading no more");
        }
    }

    /// Whether we hold the lease after this round.
    async fn round(&mut self) -> Result<bool, RoundError> {
        // Never waits longer than until the right to write ends: stepping down is not late.
        let bound = match self.until {
            Some(until) => until
                .saturating_duration_since(Instant::now())
                .clamp(Duration::from_millis(50), self.timing.renew),
            None => self.timing.retry.max(Duration::from_secs(1)),
        };
        match timeout(bound, self.exchange()).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(RoundError::Timeout),
        }
    }

    async fn exchange(&mut self) -> Result<bool, kube::Error> {
        let stored = self.api.get_opt(NAME).await?;
        let record = stored.as_ref().map(record_of);
        let transitions = match self.claim.step(record, Instant::now()) {
            Step::Wait => return Ok(false),
            Step::Take { transitions } | Step::Renew { transitions } => transitions,
        };
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match stored {
            None => {
                let lease = self.lease(None, transitions);
                self.api.create(&params, &lease).await
            }
            Some(stored) => {
                let lease = self.lease(Some(stored), transitions);
                self.api.replace(NAME, &params, &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.claim.step(Some(record_of(&lease)), Instant::now());
                Ok(true)
            }
            // Somebody else was faster; what they wrote is seen in the next round.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn lease(&self, stored: Option<Lease>, transitions: i32) -> Lease {
        let now = MicroTime(Timestamp::now());
        let (metadata, spec) = match stored {
            Some(lease) => (lease.metadata, lease.spec.unwrap_or_default()),
            None => (
                ObjectMeta {
                    name: Some(NAME.to_owned()),
                    namespace: Some(self.namespace.clone()),
                    labels: Some([(MANAGED_BY.to_owned(), MANAGED_BY_WEFT.to_owned())].into()),
                    ..ObjectMeta::default()
                },
                LeaseSpec::default(),
            ),
        };
        let ours = spec.holder_identity.as_deref() == Some(self.claim.identity());
        let seconds = self.timing.duration.as_secs().max(1);
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.claim.identity().to_owned()),
                acquire_time: if ours {
                    spec.acquire_time
                } else {
                    Some(now.clone())
                },
                renew_time: Some(now),
                lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
                lease_transitions: Some(transitions),
                ..spec
            }),
        }
    }

    /// Gives the lease back, so that the next leader need not wait it out.
    async fn release(&mut self) {
        let led = self.until.is_some();
        self.step_down("stopping");
        if !led {
            return;
        }
        let give_back = async {
            let Some(mut lease) = self.api.get_opt(NAME).await? else {
                return Ok(());
            };
            if record_of(&lease).holder != self.claim.identity() {
                return Ok(());
            }
            if let Some(spec) = &mut lease.spec {
                // The API server wants a positive duration, and takes an absent holder.
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                spec.renew_time = Some(MicroTime(Timestamp::now()));
            }
            self.api
                .replace(NAME, &PostParams::default(), &lease)
                .await
                .map(drop)
        };
        match timeout(Duration::from_secs(2), give_back).await {
            Ok(Ok(())) => tracing::info!("gave the lease back"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back; it runs out"),
            Err(_) => tracing::warn!("the lease was not given back in time; it runs out"),
        }
    }
}

fn record_of(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: spec
            .renew_time
            .map(|MicroTime(at)| at.to_string())
            .unwrap_or_default(),
        transitions: spec.lease_transitions.unwrap_or_default(),
        duration: Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .unwrap_or_default(),
        ),
    }
}

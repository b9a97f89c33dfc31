use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};
use weft_crds::{Key, Kind, ObjectRef, World, status::GatewayStatus};

use super::{due::Due, statuses::now};
use crate::{
    backoff,
    lease::Leadership,
    metrics::Metrics,
    status::{StatusError, StatusWriter},
};

/// Statuses that are written at the same time: there are few Gateways.
const CONCURRENCY: usize = 4;

/// How long a Gateway's changes are gathered.
const GATHER: Duration = Duration::from_millis(5);

/// What Gateways of our class are told of themselves.
pub(super) struct Gateways<W> {
    writer: W,
    leadership: Leadership,
    metrics: Metrics,
    /// What stands now.
    stored: HashMap<ObjectRef, GatewayStatus>,
    due: Due<ObjectRef>,
    failures: HashMap<ObjectRef, u32>,
    tasks: JoinSet<Told>,
}

/// A write that ended; of one that is gone there is no status. `result` is `None` where it was
/// cut off with the term.
struct Told {
    gateway: ObjectRef,
    status: Option<GatewayStatus>,
    result: Option<Result<(), StatusError>>,
}

impl<W: StatusWriter> Gateways<W> {
    pub(super) fn new(writer: W, leadership: Leadership, metrics: Metrics) -> Self {
        Self {
            writer,
            leadership,
            metrics,
            stored: HashMap::new(),
            due: Due::new(),
            failures: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// A Gateway came with this status.
    pub(super) fn saw(&mut self, gateway: &ObjectRef, status: Option<Value>) {
        let status = status.and_then(|status| serde_json::from_value(status).ok());
        self.stored
            .insert(gateway.clone(), status.unwrap_or_default());
    }

    /// A Gateway went.
    pub(super) fn gone(&mut self, gateway: &ObjectRef) {
        if self.stored.remove(gateway).is_some() {
            let (writer, leadership) = (self.writer.clone(), self.leadership.clone());
            let gateway = gateway.clone();
            self.tasks.spawn(async move {
                let result = leadership.guard(writer.remove(&gateway)).await;
                Told {
                    gateway,
                    status: None,
                    result,
                }
            });
        }
        self.failures.remove(gateway);
        self.due.forget(gateway);
    }

    /// A key was lowered or written: if it is a Gateway's, that may be told something new.
    pub(super) fn mark(&mut self, key: &Key) {
        if let Key::Gateway(namespace, name) = key {
            let gateway = ObjectRef::new(Kind::Gateway, &**namespace, &**name);
            self.due.mark(gateway, Instant::now() + GATHER);
        }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.tasks.len() < CONCURRENCY)
            .then(|| self.due.next())
            .flatten()
    }

    /// Begins to write what differs from what stands. A Gateway whose document is still being
    /// written is named again when it is.
    pub(super) fn advance(&mut self, world: &World, pending: impl Fn(&Key) -> bool) {
        let at = Instant::now();
        while self.tasks.len() < CONCURRENCY {
            let Some(gateway) = self.due.take(at) else {
                return;
            };
            let key = Key::Gateway(gateway.namespace.clone(), gateway.name.clone());
            let stored = self.stored.get(&gateway);
            let Some(status) = world.gateway_status(&gateway, stored, &now()) else {
                continue;
            };
            if pending(&key) || stored == Some(&status) {
                continue;
            }
            let (writer, leadership) = (self.writer.clone(), self.leadership.clone());
            self.tasks.spawn(async move {
                let result = leadership
                    .guard(writer.write_gateway(&gateway, &status))
                    .await;
                Told {
                    gateway,
                    status: Some(status),
                    result,
                }
            });
        }
    }

    /// Waits for the end of a write; for ever while none runs.
    pub(super) async fn finish(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(told)) => self.ended(told),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    fn ended(&mut self, told: Told) {
        match told.result {
            Some(Ok(())) => {
                self.failures.remove(&told.gateway);
                if let Some(status) = told.status {
                    self.metrics.statuses_written.inc();
                    self.stored.insert(told.gateway, status);
                }
            }
            Some(Err(error)) => {
                self.metrics.write_failures.inc();
                let failures = self.failures.entry(told.gateway.clone()).or_default();
                *failures += 1;
                tracing::warn!(%error, failures, "a Gateway's status was not written; it is tried again");
                let at = Instant::now() + backoff::after(*failures);
                self.due.mark(told.gateway, at);
            }
            // The term ended: whoever leads next tells it.
            None => {}
        }
    }

    /// Stops writing: the term ended.
    pub(super) fn stand_down(&mut self) {
        self.tasks.abort_all();
        self.due.clear();
    }

    /// Waits until what is being written is written.
    pub(super) async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(told) = ended {
                self.ended(told);
            }
        }
    }
}

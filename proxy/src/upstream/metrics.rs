//! What a cluster counts. Handles are resolved once per cluster where the labels are fixed.

use std::sync::Arc;

use super::pool::DialError;
use crate::observe::{Counter, Gauge, Recorder, families};

/// One cluster's series.
#[derive(Debug)]
pub struct ClusterMetrics {
    recorder: Recorder,
    namespace: Arc<str>,
    service: Arc<str>,
    port: String,
    connected: Counter,
    /// `None`: nothing is ever ejected.
    ejected: Option<Gauge>,
}

impl ClusterMetrics {
    /// The series of one service port.
    pub fn new(recorder: &Recorder, namespace: &str, service: &str, port: u16) -> Self {
        let labels = [service, namespace, &port.to_string()];
        let ejected = recorder.gauge(&families::OUTLIER_EJECTIONS, &labels);
        Self {
            ejected: Some(ejected),
            ..Self::of_pod(recorder, namespace, service, port)
        }
    }

    /// The series of one pod behind a service port: what happens there happens to the service, but
    /// how many of its endpoints are ejected others say.
    pub fn of_pod(recorder: &Recorder, namespace: &str, service: &str, port: u16) -> Self {
        let port = port.to_string();
        Self {
            connected: recorder.counter(
                &families::UPSTREAM_CONNECTS,
                &[service, namespace, "success"],
            ),
            ejected: None,
            recorder: recorder.clone(),
            namespace: namespace.into(),
            service: service.into(),
            port,
        }
    }

    /// A connection was opened, or could not be.
    pub fn connected(&self, error: Option<&DialError>) {
        match error {
            None => self.connected.inc(),
            Some(error) => self
                .recorder
                .counter(
                    &families::UPSTREAM_CONNECTS,
                    &[&self.service, &self.namespace, error.flag()],
                )
                .inc(),
        }
    }

    /// A bound of the pool was reached.
    pub fn overflow(&self, bound: &'static str) {
        self.recorder
            .counter(
                &families::UPSTREAM_OVERFLOWS,
                &[&self.service, &self.namespace, bound],
            )
            .inc();
    }

    /// An endpoint was ejected.
    pub fn ejected(&self, reason: &'static str) {
        self.recorder
            .counter(
                &families::OUTLIER_EJECTIONS_STARTED,
                &[&self.service, &self.namespace, &self.port, reason],
            )
            .inc();
    }

    /// So many are ejected now.
    pub fn set_ejected(&self, count: usize) {
        if let Some(ejected) = &self.ejected {
            ejected.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The cluster goes, and with it what it is now. What it counted stays until nobody has
    /// counted there for a while.
    pub fn withdraw(&self) {
        if self.ejected.is_none() {
            return;
        }
        let labels = [&*self.service, &*self.namespace, self.port.as_str()];
        self.recorder.remove(&families::OUTLIER_EJECTIONS, &labels);
    }

    /// A retry, by result.
    pub fn retried(&self, route: &str, result: &'static str) {
        self.recorder
            .counter(
                &families::RETRIES,
                &[&self.service, &self.namespace, route, result],
            )
            .inc();
    }
}

//! What a cluster counts. A handle is resolved when there is something to count, and kept where the
//! labels are fixed: of a service that is known and not in trouble there are no series.

use std::{cell::OnceCell, sync::Arc};

use super::pool::DialError;
use crate::observe::{Counter, Gauge, Recorder, families};

/// One cluster's series.
#[derive(Debug)]
pub struct ClusterMetrics {
    recorder: Recorder,
    namespace: Arc<str>,
    service: Arc<str>,
    port: u16,
    /// Whether it says how many endpoints are ejected.
    ejects: bool,
    connected: OnceCell<Counter>,
    ejected: OnceCell<Gauge>,
}

impl ClusterMetrics {
    /// The series of one service port.
    pub fn new(recorder: &Recorder, namespace: &Arc<str>, service: &Arc<str>, port: u16) -> Self {
        Self {
            ejects: true,
            ..Self::of_pod(recorder, namespace, service, port)
        }
    }

    /// The series of one pod behind a service port: what happens there happens to the service, but
    /// how many of its endpoints are ejected others say.
    pub fn of_pod(
        recorder: &Recorder,
        namespace: &Arc<str>,
        service: &Arc<str>,
        port: u16,
    ) -> Self {
        Self {
            recorder: recorder.clone(),
            namespace: namespace.clone(),
            service: service.clone(),
            port,
            ejects: false,
            connected: OnceCell::new(),
            ejected: OnceCell::new(),
        }
    }

    /// A connection was opened, or could not be.
    pub fn connected(&self, error: Option<&DialError>) {
        let count = |result: &str| {
            let labels = [&*self.service, &*self.namespace, result];
            self.recorder.counter(&families::UPSTREAM_CONNECTS, &labels)
        };
        match error {
            None => self.connected.get_or_init(|| count("success")).inc(),
            Some(error) => count(error.flag()).inc(),
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
        let mut port = itoa::Buffer::new();
        let port = port.format(self.port);
        self.recorder
            .counter(
                &families::OUTLIER_EJECTIONS_STARTED,
                &[&self.service, &self.namespace, port, reason],
            )
            .inc();
    }

    /// So many are ejected now. Where none ever was, there is no series.
    pub fn set_ejected(&self, count: usize) {
        if !self.ejects || (count == 0 && self.ejected.get().is_none()) {
            return;
        }
        let gauge = self.ejected.get_or_init(|| {
            let mut port = itoa::Buffer::new();
            let labels = [&*self.service, &*self.namespace, port.format(self.port)];
            self.recorder.gauge(&families::OUTLIER_EJECTIONS, &labels)
        });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The cluster goes, and with it what it is now. What it counted stays until nobody has
    /// counted there for a while.
    pub fn withdraw(&self) {
        if self.ejected.get().is_some() {
            let mut port = itoa::Buffer::new();
            let labels = [&*self.service, &*self.namespace, port.format(self.port)];
            self.recorder.remove(&families::OUTLIER_EJECTIONS, &labels);
        }
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

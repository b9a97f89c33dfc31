//! The metric series of exchanges.

use std::sync::Arc;

use super::context::Context;
use crate::{
    connection::Direction,
    observe::{Counter, Histogram, families},
};

/// The labels of an exchange that are not the connection's. `T`: text, lent or kept.
#[derive(Debug)]
pub(super) struct Labels<T> {
    /// 0: none was given.
    pub status: u16,
    pub grpc_status: Option<u16>,
    /// Empty: none.
    pub flag: &'static str,
    pub protocol: &'static str,
    pub route: Option<T>,
    pub service: T,
    pub namespace: T,
}

/// Mostly it is the very same text.
fn is_same(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
}

/// The series of exchanges with the same labels.
#[derive(Debug)]
pub(super) struct Series {
    labels: Labels<Arc<str>>,
    pub requests: Counter,
    pub duration: Histogram,
    pub request_bytes: Counter,
    pub response_bytes: Counter,
}

impl Series {
    /// Whether these are theirs.
    pub(super) fn is_of(&self, labels: &Labels<&Arc<str>>) -> bool {
        let kept = &self.labels;
        let route = match (&kept.route, labels.route) {
            (Some(kept), Some(route)) => is_same(kept, route),
            (kept, route) => kept.is_none() && route.is_none(),
        };
        route
            && kept.status == labels.status
            && kept.grpc_status == labels.grpc_status
            && is_same(kept.flag, labels.flag)
            && is_same(kept.protocol, labels.protocol)
            && is_same(&kept.service, labels.service)
            && is_same(&kept.namespace, labels.namespace)
    }

    /// Looks them up.
    pub(super) fn resolve(context: &Context, labels: &Labels<&Arc<str>>) -> Self {
        let connection = &context.connection;
        let direction = connection.direction.as_str();
        let bootstrap = &context.worker.bootstrap;
        let peer = connection.peer_identity();
        let (source_namespace, source_workload) = match (connection.direction, peer) {
            (Direction::Outbound, _) => (
                bootstrap.namespace.as_str(),
                bootstrap.service_account.as_str(),
            ),
            (_, Some(peer)) => (peer.namespace(), peer.service_account()),
            (_, None) => ("", ""),
        };
        let principal = peer.map_or("", |peer| peer.as_str());
        let mtls = if connection.tls.is_some() {
            "true"
        } else {
            "false"
        };
        let (mut status, mut grpc) = (itoa::Buffer::new(), itoa::Buffer::new());
        let status = status.format(labels.status);
        let grpc_status = labels.grpc_status.map_or("", |code| grpc.format(code));
        let route = labels.route.map_or("", |route| &**route);
        let metrics = &context.worker.metrics;
        let service = [direction, &**labels.service, &**labels.namespace];
        Self {
            requests: metrics.counter(
                &families::REQUESTS,
                &[
                    direction,
                    source_workload,
                    source_namespace,
                    principal,
                    labels.service,
                    labels.namespace,
                    labels.protocol,
                    status,
                    grpc_status,
                    labels.flag,
                    route,
                    mtls,
                ],
            ),
            duration: metrics.histogram(
                &families::REQUEST_DURATION,
                &[
                    direction,
                    source_namespace,
                    source_workload,
                    labels.service,
                    labels.namespace,
                    labels.protocol,
                    status,
                    route,
                ],
            ),
            request_bytes: metrics.counter(&families::REQUEST_BYTES, &service),
            response_bytes: metrics.counter(&families::RESPONSE_BYTES, &service),
            labels: Labels {
                status: labels.status,
                grpc_status: labels.grpc_status,
                flag: labels.flag,
                protocol: labels.protocol,
                route: labels.route.cloned(),
                service: labels.service.clone(),
                namespace: labels.namespace.clone(),
            },
        }
    }
}

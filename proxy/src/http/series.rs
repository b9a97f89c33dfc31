//! The metric series of exchanges.

use std::sync::Arc;

use super::context::Context;
use crate::{
    connection::Direction,
    observe::{Counter, Histogram, families},
};

/// The labels of an exchange that are not the connection's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// 0: none was given.
    pub status: u16,
    pub grpc_status: Option<u16>,
    /// Empty: none.
    pub flag: &'static str,
    pub protocol: &'static str,
    pub route: Arc<str>,
    pub service: Arc<str>,
    pub namespace: Arc<str>,
}

/// The series of exchanges with the same labels.
#[derive(Debug)]
pub(super) struct Series {
    pub key: Key,
    pub requests: Counter,
    pub duration: Histogram,
    pub request_bytes: Counter,
    pub response_bytes: Counter,
}

impl Series {
    /// Looks them up.
    pub(super) fn resolve(context: &Context, key: Key) -> Self {
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
        let status = status.format(key.status);
        let grpc_status = key.grpc_status.map_or("", |code| grpc.format(code));
        let metrics = &context.worker.metrics;
        let service = [direction, &*key.service, &*key.namespace];
        Self {
            requests: metrics.counter(
                &families::REQUESTS,
                &[
                    direction,
                    source_workload,
                    source_namespace,
                    principal,
                    &key.service,
                    &key.namespace,
                    key.protocol,
                    status,
                    grpc_status,
                    key.flag,
                    &key.route,
                    mtls,
                ],
            ),
            duration: metrics.histogram(
                &families::REQUEST_DURATION,
                &[
                    direction,
                    source_namespace,
                    source_workload,
                    &key.service,
                    &key.namespace,
                    key.protocol,
                    status,
                    &key.route,
                ],
            ),
            request_bytes: metrics.counter(&families::REQUEST_BYTES, &service),
            response_bytes: metrics.counter(&families::RESPONSE_BYTES, &service),
            key,
        }
    }
}

//! What a TCP connection leaves in metrics and log.

use std::{net::SocketAddr, sync::Arc};

use weft_engine::{
    decide::{Denial, Reason},
    documents::AuthAction,
    identity::SpiffeId,
};

use super::{Copied, CopyError};
use crate::{
    connection::{ConnectionInfo, Direction, Stream},
    observe::{
        AccessRecord, Towards,
        families::{AUTHZ_DECISIONS, TCP_CLOSED, TCP_OPENED, TCP_RECEIVED, TCP_SENT},
    },
    worker::Worker,
};

/// One connection's account, written when it ends.
pub(super) struct Session<'w> {
    worker: &'w Worker,
    connection: &'w ConnectionInfo,
    destination: String,
    route: Option<String>,
    endpoint: Option<(SocketAddr, Option<Arc<SpiffeId>>)>,
    attempts: u32,
    /// What refused it.
    rule: Option<String>,
    /// What Shadow and Audit policies had to say.
    shadow: Vec<String>,
    source: (String, String),
    service: (String, String),
}

impl<'w> Session<'w> {
    /// Opens the account. `service`: namespace and name, empty where there is none.
    pub(super) fn open(
        worker: &'w Worker,
        connection: &'w ConnectionInfo,
        service: (&str, &str),
        destination: String,
    ) -> Self {
        // Outbound, the caller is our own workload; inbound, it is whom TLS proved.
        let source = match (connection.direction, connection.peer_identity()) {
            (Direction::Outbound, _) => (
                worker.bootstrap.namespace.clone(),
                worker.bootstrap.service_account.clone(),
            ),
            (_, Some(id)) => (id.namespace().to_owned(), id.service_account().to_owned()),
            (_, None) => (String::new(), String::new()),
        };
        Self {
            worker,
            connection,
            destination,
            route: None,
            endpoint: None,
            rule: None,
            attempts: 0,
            shadow: Vec::new(),
            source,
            service: (service.0.to_owned(), service.1.to_owned()),
        }
    }

    pub(super) fn route(&mut self, id: Option<&str>) {
        self.route = id.map(str::to_owned);
    }

    /// Whom it reached, and how many endpoints were asked for it.
    pub(super) fn endpoint(
        &mut self,
        endpoint: SocketAddr,
        identity: Option<Arc<SpiffeId>>,
        attempts: u32,
    ) {
        self.endpoint = Some((endpoint, identity));
        self.attempts = attempts;
        let mtls = self.mtls();
        let labels = self.labels(mtls);
        self.worker.metrics.counter(&TCP_OPENED, &labels).inc();
    }

    /// Counts and notes what the policies said.
    pub(super) fn reasons(&mut self, reasons: &[Reason<'_>]) {
        for reason in reasons {
            let decision = match reason.action {
                AuthAction::Allow if reason.rule.is_empty() => "deny",
                AuthAction::Allow => "allow",
                AuthAction::Deny => "deny",
                AuthAction::Audit => "audit",
            };
            let mode = if reason.shadow { "Shadow" } else { "Enforce" };
            let labels = [reason.policy, reason.rule, decision, mode];
            self.worker.metrics.counter(&AUTHZ_DECISIONS, &labels).inc();
            if reason.shadow || reason.action == AuthAction::Audit {
                let said = format!("{}/{}", reason.policy, reason.rule);
                self.shadow.push(said);
            }
        }
    }

    /// Closes the account of a refused connection.
    pub(super) fn denied(mut self, denial: Denial<'_>) {
        let (policy, rule) = match denial {
            Denial::Rule { policy, rule } => (policy, rule),
            Denial::NotAllowed { policy } => (policy, "-"),
            Denial::InvalidPolicy { policy } => (policy, "invalid"),
        };
        let labels = [policy, rule, "deny", "Enforce"];
        self.worker.metrics.counter(&AUTHZ_DECISIONS, &labels).inc();
        self.rule = Some(format!("{policy}/{rule}"));
        self.failed("denied_by");
    }

    /// Closes the account of a connection that carried nothing.
    pub(super) fn failed(self, flag: &'static str) {
        self.close(Copied::default(), Some(flag));
    }

    /// Closes the account after the copy, and passes a failure on: an abort must not look
    /// like an orderly end to the client.
    pub(super) fn finished(self, copied: Copied, result: Result<(), CopyError>, client: &Stream) {
        let flag = match &result {
            Ok(()) => None,
            Err(error) => {
                tracing::debug!(peer = %self.connection.peer, %error, "TCP connection cut");
                // Closing with a linger of zero sends RST instead of FIN; if it cannot be
                // set, the socket is gone already.
                let linger = Some(std::time::Duration::ZERO);
                let _ = socket2::SockRef::from(client.socket()).set_linger(linger);
                Some(error.flag())
            }
        };
        self.close(copied, flag);
    }

    fn mtls(&self) -> &'static str {
        let is_mtls = self.connection.tls.is_some() || matches!(self.endpoint, Some((_, Some(_))));
        if is_mtls { "true" } else { "false" }
    }

    fn labels<'s>(&'s self, mtls: &'s str) -> [&'s str; 6] {
        [
            self.connection.direction.as_str(),
            &self.source.0,
            &self.source.1,
            &self.service.1,
            &self.service.0,
            mtls,
        ]
    }

    fn close(self, copied: Copied, flag: Option<&'static str>) {
        let metrics = &self.worker.metrics;
        let [direction, source_ns, source, service, namespace, mtls] = self.labels(self.mtls());
        let flag_label = flag.unwrap_or("-");
        metrics
            .counter(
                &TCP_CLOSED,
                &[
                    direction, source_ns, source, service, namespace, mtls, flag_label,
                ],
            )
            .inc();
        let labels = [direction, service, namespace];
        metrics.counter(&TCP_SENT, &labels).add(copied.sent);
        metrics.counter(&TCP_RECEIVED, &labels).add(copied.received);
        let identity = self.endpoint.as_ref().and_then(|(_, id)| id.as_deref());
        self.worker.access_log.log(&AccessRecord {
            flag,
            rule: self.rule.as_deref(),
            shadow: &self.shadow,
            duration: self.connection.accepted.elapsed(),
            request_bytes: copied.sent,
            response_bytes: copied.received,
            attempts: self.attempts,
            source_identity: self.connection.peer_identity().map(Arc::as_ref),
            destination: Some(Towards::Named(&self.destination)),
            destination_identity: identity,
            route: self.route.as_deref(),
            endpoint: self.endpoint.as_ref().map(|(address, _)| *address),
            ..AccessRecord::new(
                self.connection.direction.as_str(),
                "tcp",
                self.connection.peer,
            )
        });
    }
}

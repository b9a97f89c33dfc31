//! What is told of an exchange when it has ended: metrics and an access log line. It ends when
//! the response's last byte was handed on, or when either side gave up.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Uri, Version, request::Parts};
use weft_engine::{decide::Reason, documents::AuthAction, identity::SpiffeId};

use super::{
    context::{Context, Named},
    headers,
    series::{Labels, Series},
};
use crate::{
    connection::Direction,
    observe::{AccessRecord, Towards},
};

/// Of a request's head, what the access log says. Nothing of it is copied.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: Uri,
    authority: Rc<Named>,
    /// `traceparent`.
    trace: Option<HeaderValue>,
}

/// One exchange, told when dropped.
#[derive(Debug)]
pub(super) struct Observation {
    context: Rc<Context>,
    started: Instant,
    /// What the access log says of the request's head; `None`: nothing.
    head: Option<Asked>,
    /// What Shadow and Audit policies had to say, for the access log.
    shadow: Vec<String>,
    protocol: &'static str,
    pub status: Option<u16>,
    pub flag: Option<&'static str>,
    pub grpc_status: Option<u16>,
    /// It failed, and another attempt, anywhere, does no harm.
    pub repeatable: bool,
    /// What refused it.
    pub denied_by: Option<String>,
    pub route: Option<Arc<str>>,
    pub service: Arc<str>,
    pub namespace: Arc<str>,
    pub port: u16,
    pub attempts: u32,
    pub upstream: Option<Duration>,
    pub request_bytes: Rc<Cell<u64>>,
    pub response_bytes: u64,
    pub endpoint: Option<(SocketAddr, Option<Arc<SpiffeId>>)>,
}

impl Observation {
    /// A request's head has been read.
    pub(super) fn begin(context: &Rc<Context>, parts: &Parts, is_grpc: bool) -> Self {
        let protocol = match parts.version {
            _ if is_grpc => "grpc",
            Version::HTTP_2 => "http/2",
            _ => "http/1.1",
        };
        let head = context.worker.access_log.is_on().then(|| Asked {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            authority: Rc::default(),
            trace: headers::trace(&parts.headers).cloned(),
        });
        context.begin();
        Self {
            context: context.clone(),
            started: Instant::now(),
            head,
            shadow: Vec::new(),
            protocol,
            status: None,
            flag: None,
            grpc_status: None,
            repeatable: false,
            denied_by: None,
            route: None,
            service: Arc::default(),
            namespace: Arc::default(),
            port: 0,
            attempts: 0,
            upstream: None,
            request_bytes: Rc::default(),
            response_bytes: 0,
            endpoint: None,
        }
    }

    /// Whether the refusal goes to a proxy of the mesh, which can act on [`Self::repeatable`].
    pub(super) fn tells_repeatable(&self) -> bool {
        let connection = &self.context.connection;
        self.repeatable && connection.direction == Direction::Inbound && connection.tls.is_some()
    }

    /// When the request's head had been read.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The authority is known.
    pub(super) fn authority(&mut self, authority: &Rc<Named>) {
        if let Some(head) = &mut self.head {
            head.authority = authority.clone();
        }
    }

    /// The service that it is meant for is known.
    pub(super) fn destination(&mut self, namespace: &Arc<str>, service: &Arc<str>, port: u16) {
        self.namespace = namespace.clone();
        self.service = service.clone();
        self.port = port;
    }

    /// What the policies had to say.
    pub(super) fn reasons(&mut self, reasons: &[Reason<'_>]) {
        for reason in reasons {
            let decision = match (reason.action, reason.rule.is_empty()) {
                (AuthAction::Allow, false) => "allow",
                (AuthAction::Audit, _) => "audit",
                (AuthAction::Allow, true) | (AuthAction::Deny, _) => "deny",
            };
            self.authorized(reason.policy, reason.rule, decision, reason.shadow);
            if (reason.shadow || reason.action == AuthAction::Audit) && self.head.is_some() {
                let rule = if reason.rule.is_empty() {
                    "-"
                } else {
                    reason.rule
                };
                self.shadow.push(format!("{}/{rule}", reason.policy));
            }
        }
    }

    /// A policy's say is counted.
    pub(super) fn authorized(
        &self,
        policy: &str,
        rule: &str,
        decision: &'static str,
        shadow: bool,
    ) {
        let rule = if rule.is_empty() { "-" } else { rule };
        self.context.decided(policy, rule, decision, shadow);
    }

    fn tell(&mut self, now: Instant) {
        let duration = now.saturating_duration_since(self.started);
        let labels = Labels {
            status: self.status.unwrap_or(0),
            grpc_status: self.grpc_status,
            flag: self.flag.unwrap_or(""),
            protocol: self.protocol,
            route: self.route.as_ref(),
            service: &self.service,
            namespace: &self.namespace,
        };
        let mut series = self.context.series.borrow_mut();
        let series = match &mut *series {
            Some(series) if series.is_of(&labels) => series,
            other => other.insert(Series::resolve(&self.context, &labels)),
        };
        series.requests.inc();
        series.duration.observe(duration);
        series.request_bytes.add(self.request_bytes.get());
        series.response_bytes.add(self.response_bytes);

        self.log(duration);
    }

    fn log(&self, duration: Duration) {
        let Some(head) = &self.head else { return };
        let connection = &self.context.connection;
        let authority = &*head.authority.text;
        let (service, namespace) = (&*self.service, &*self.namespace);
        let direction = connection.direction.as_str();
        self.context.worker.access_log.log(&AccessRecord {
            method: Some(head.method.as_str()),
            authority: Some(authority).filter(|authority| !authority.is_empty()),
            path: Some(head.uri.path()),
            status: self.status,
            grpc_status: self.grpc_status,
            flag: self.flag,
            rule: self.denied_by.as_deref(),
            shadow: &self.shadow,
            duration,
            upstream: self.upstream,
            request_bytes: self.request_bytes.get(),
            response_bytes: self.response_bytes,
            attempts: self.attempts,
            source_identity: connection.peer_identity().map(Arc::as_ref),
            destination: (!service.is_empty())
                .then_some(Towards::Service(namespace, service, self.port)),
            destination_identity: self.endpoint.as_ref().and_then(|(_, id)| id.as_deref()),
            route: self.route.as_deref(),
            endpoint: self.endpoint.as_ref().map(|(address, _)| *address),
            trace_id: head.trace.as_ref().and_then(headers::trace_id),
            ..AccessRecord::new(direction, self.protocol, connection.peer)
        });
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if self.status.is_none() && self.flag.is_none() {
            // The exchange was dropped before it had an answer: the client went away.
            self.flag = Some("downstream_reset");
        }
        let now = Instant::now();
        self.tell(now);
        self.context.end(now);
    }
}

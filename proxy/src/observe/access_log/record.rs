//! What a line says.

use std::{net::SocketAddr, time::Duration};

use weft_engine::identity::SpiffeId;

use super::{clock, json::Object};

/// One request or TCP connection that has ended. Fields that do not apply stay `None` and are
/// left out.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// `outbound`, `inbound` or `gateway`.
    pub direction: &'static str,
    /// `http/1.1`, `http/2`, `grpc` or `tcp`.
    pub protocol: &'static str,
    /// The method.
    pub method: Option<&'a str>,
    /// Host or `:authority`.
    pub authority: Option<&'a str>,
    /// The path as it came, without the query (which may hold secrets).
    pub path: Option<&'a str>,
    /// The response's status.
    pub status: Option<u16>,
    /// The gRPC status.
    pub grpc_status: Option<u16>,
    /// Why a refusal or failure happened: `denied_by`, `upstream_reset`, …
    pub flag: Option<&'static str>,
    /// What decided it: `namespace/policy/rule`.
    pub rule: Option<&'a str>,
    /// What Shadow and Audit policies had to say: `namespace/policy/rule`.
    pub shadow: &'a [String],
    /// From begin to end; the end is now.
    pub duration: Duration,
    /// From the first attempt's begin to the response's head.
    pub upstream: Option<Duration>,
    /// Bytes from the client.
    pub request_bytes: u64,
    /// Bytes to the client.
    pub response_bytes: u64,
    /// Attempts, the first included; 0 when nothing was tried.
    pub attempts: u32,
    /// The directly connected peer.
    pub source: SocketAddr,
    /// Its proven identity.
    pub source_identity: Option<&'a SpiffeId>,
    /// Where it was meant to go.
    pub destination: Option<Towards<'a>>,
    /// The identity that the endpoint proved.
    pub destination_identity: Option<&'a SpiffeId>,
    /// The rule that routed it: `namespace/route/rule`.
    pub route: Option<&'a str>,
    /// The endpoint that answered.
    pub endpoint: Option<SocketAddr>,
    /// The trace id of `traceparent`.
    pub trace_id: Option<&'a str>,
}

/// Where an exchange was meant to go.
#[derive(Clone, Copy, Debug)]
pub enum Towards<'a> {
    /// Namespace, name and port of a Service.
    Service(&'a str, &'a str, u16),
    /// As it is called.
    Named(&'a str),
}

impl<'a> AccessRecord<'a> {
    /// A record that says nothing else yet.
    pub fn new(direction: &'static str, protocol: &'static str, source: SocketAddr) -> Self {
        Self {
            direction,
            protocol,
            method: None,
            authority: None,
            path: None,
            status: None,
            grpc_status: None,
            flag: None,
            rule: None,
            shadow: &[],
            duration: Duration::ZERO,
            upstream: None,
            request_bytes: 0,
            response_bytes: 0,
            attempts: 0,
            source,
            source_identity: None,
            destination: None,
            destination_identity: None,
            route: None,
            endpoint: None,
            trace_id: None,
        }
    }

    /// Appends its line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut line = Object::begin(out);
        line.plain("time", |out| clock::write_began(out, self.duration));
        line.plain("direction", |out| {
            out.extend_from_slice(self.direction.as_bytes());
        });
        line.plain("protocol", |out| {
            out.extend_from_slice(self.protocol.as_bytes());
        });
        line.text("method", self.method);
        line.text("authority", self.authority);
        line.text("path", self.path);
        line.number("status", self.status.map(u64::from));
        line.number("grpc_status", self.grpc_status.map(u64::from));
        line.text("flag", self.flag);
        line.text("rule", self.rule);
        line.list("shadow", self.shadow);
        line.millis("duration_ms", Some(self.duration));
        line.millis("upstream_ms", self.upstream);
        line.number("request_bytes", Some(self.request_bytes));
        line.number("response_bytes", Some(self.response_bytes));
        line.number("attempts", Some(u64::from(self.attempts)));
        line.address("source", Some(self.source));
        line.text(
            "source_identity",
            self.source_identity.map(SpiffeId::as_str),
        );
        match self.destination {
            None => {}
            Some(Towards::Named(name)) => line.text("destination", Some(name)),
            // Names of Kubernetes objects: nothing in them needs an escape.
            Some(Towards::Service(namespace, name, port)) => line.plain("destination", |out| {
                out.extend_from_slice(namespace.as_bytes());
                out.push(b'/');
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                out.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
            }),
        }
        line.text(
            "destination_identity",
            self.destination_identity.map(SpiffeId::as_str),
        );
        line.text("route", self.route);
        line.address("endpoint", self.endpoint);
        line.text("trace_id", self.trace_id);
        line.end();
    }
}

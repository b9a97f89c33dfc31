//! A gateway's listeners.

use std::sync::Arc;

use super::{
    authorization::CompiledAuthorization, findings::Findings, hosts::HostPattern, table::RouteTable,
};
use crate::{
    documents::{GatewayDocument, GatewayListener},
    problem::Problem,
};

/// A gateway, ready to route.
#[derive(Debug)]
pub struct CompiledGateway {
    /// Its listeners.
    pub listeners: Vec<CompiledListener>,
}

/// A gateway's listener.
#[derive(Debug)]
pub struct CompiledListener {
    /// The listener's (section) name.
    pub name: String,
    /// The port it listens on.
    pub port: u16,
    /// Whether it ends TLS.
    pub tls: bool,
    /// Only requests to these hosts are routed; `None`: the listener's hostname is invalid, and
    /// none is.
    pub(crate) host: Option<HostPattern>,
    pub(crate) http: RouteTable,
    /// One for all listeners.
    pub(crate) authorization: Arc<CompiledAuthorization>,
}

impl CompiledGateway {
    /// Compiles a gateway. Its policies select it as a whole: their selectors, which speak of
    /// pods, are not looked at.
    pub fn compile(document: &GatewayDocument) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let authorization = Arc::new(CompiledAuthorization::compile(
            &document.authorization,
            &mut problems,
        ));
        let object = format!("{}/{}", document.namespace, document.name);
        let listeners = document
            .listeners
            .iter()
            .map(|listener| CompiledListener {
                name: listener.name.clone(),
                port: listener.port,
                tls: listener.tls,
                host: host(
                    listener,
                    &mut Findings::new("Gateway", &object, &mut problems),
                ),
                http: RouteTable::compile(&listener.http, &mut problems),
                authorization: Arc::clone(&authorization),
            })
            .collect();
        (Self { listeners }, problems)
    }

    /// The listener of that name.
    pub fn listener(&self, name: &str) -> Option<&CompiledListener> {
        self.listeners.iter().find(|listener| listener.name == name)
    }

    /// The listener of that port that serves `authority`: the most specific hostname, then the
    /// first in order.
    pub fn listener_for(&self, port: u16, authority: &str) -> Option<&CompiledListener> {
        let host = crate::authority::host(authority).ok()?;
        self.listeners
            .iter()
            .filter(|listener| listener.port == port)
            .filter_map(|listener| Some((listener.host.as_ref()?, listener)))
            .filter(|(pattern, _)| pattern.matches(&host))
            .min_by_key(|(pattern, _)| pattern.rank())
            .map(|(_, listener)| listener)
    }
}

fn host(listener: &GatewayListener, findings: &mut Findings<'_>) -> Option<HostPattern> {
    let Some(hostname) = listener.hostname.as_deref().filter(|host| !host.is_empty()) else {
        return Some(HostPattern::Any);
    };
    match HostPattern::compile(hostname) {
        Ok(host) => Some(host),
        Err(why) => {
            findings.invalid(
                format!("spec.listeners[{}].hostname", listener.name),
                why,
                "use a DNS name, or `*.` before one",
            );
            None
        }
    }
}

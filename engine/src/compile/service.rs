//! A service as one client namespace sees it.

use std::sync::Arc;

use super::{table::RouteTable, tcp::CompiledTcpRule};
use crate::{
    documents::{ClientPolicy, Protocol, RouteScope, ServiceDocument, ServicePort},
    problem::Problem,
};

/// A service, ready to route.
#[derive(Debug)]
pub struct CompiledService {
    /// Its ports, ascending.
    pub ports: Box<[CompiledPort]>,
}

/// A service port, ready to route.
#[derive(Debug)]
pub struct CompiledPort {
    /// The Service's port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// How to call it. Shared with whoever calls it.
    pub policy: Arc<ClientPolicy>,
    /// `None`: no HTTP routes, balanced over its endpoints.
    pub(crate) http: Option<Box<RouteTable>>,
    /// Older first. `None`: no TCP routes.
    pub(crate) tcp: Option<Box<[CompiledTcpRule]>>,
}

impl CompiledService {
    /// Compiles a service for clients in `client_namespace` (scopes are resolved here, once).
    pub fn compile(document: &ServiceDocument, client_namespace: &str) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut ports: Vec<_> = document
            .ports
            .iter()
            .map(|port| CompiledPort::compile(port, client_namespace, &mut problems))
            .collect();
        ports.sort_by_key(|port| port.port);
        let ports = ports.into();
        (Self { ports }, problems)
    }

    /// The port, if the service has it.
    pub fn port(&self, port: u16) -> Option<&CompiledPort> {
        self.ports.iter().find(|candidate| candidate.port == port)
    }
}

impl CompiledPort {
    fn compile(port: &ServicePort, client_namespace: &str, problems: &mut Vec<Problem>) -> Self {
        let http = rules_for(&port.http, client_namespace)
            .map(|rules| Box::new(RouteTable::compile(rules, problems)));
        let tcp = rules_for(&port.tcp, client_namespace)
            .map(|rules| rules.into_iter().map(CompiledTcpRule::compile).collect());
        Self {
            port: port.port,
            protocol: port.protocol,
            policy: Arc::new(port.policy.clone()),
            http,
            tcp,
        }
    }

    /// A port without routes: what is called there was chosen by the client itself.
    pub fn without_routes(port: u16, protocol: Protocol, policy: Arc<ClientPolicy>) -> Self {
        Self {
            port,
            protocol,
            policy,
            http: None,
            tcp: None,
        }
    }

    /// Whether HTTP rules steer this port.
    pub fn has_http_routes(&self) -> bool {
        self.http.is_some()
    }

    /// Whether TCP rules steer this port.
    pub fn has_tcp_routes(&self) -> bool {
        self.tcp.is_some()
    }
}

/// The rules that concern clients of one namespace: its consumer routes, else the producer's.
fn rules_for<'d, R>(scopes: &'d [RouteScope<R>], client_namespace: &str) -> Option<Vec<&'d R>> {
    let in_scope = |wanted: Option<&str>| -> Option<Vec<&'d R>> {
        let rules: Vec<_> = scopes
            .iter()
            .filter(|scope| scope.client_namespace.as_deref() == wanted)
            .flat_map(|scope| &scope.rules)
            .collect();
        (!rules.is_empty()).then_some(rules)
    };
    in_scope(Some(client_namespace)).or_else(|| in_scope(None))
}

//! Documents → an immutable compiled form. Bad parts become problems and fail closed.

use crate::{
    documents::{
        ClientPolicy, GatewayDocument, HttpRule, InboundDocument, MeshDocument, MtlsMode, Protocol,
        ServiceDocument,
    },
    identity::Workload,
    problem::Problem,
};

/// A service, ready to route.
#[derive(Debug)]
pub struct CompiledService {
    /// Its ports, ascending.
    pub ports: Vec<CompiledPort>,
}

/// A service port, ready to route.
#[derive(Debug)]
pub struct CompiledPort {
    /// The Service's port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// How to call it.
    pub policy: ClientPolicy,
}

/// One compiled HTTP rule: the document's rule plus what is prepared of it.
#[derive(Debug)]
pub struct CompiledHttpRule {
    /// The rule as it was written.
    pub rule: HttpRule,
}

/// The server-side policies that select one workload.
#[derive(Debug)]
pub struct CompiledInbound {}

/// A gateway, ready to route.
#[derive(Debug)]
pub struct CompiledGateway {
    /// Its listeners.
    pub listeners: Vec<CompiledListener>,
}

/// A gateway's listener.
#[derive(Debug)]
pub struct CompiledListener {
    /// The port it listens on.
    pub port: u16,
}

impl CompiledService {
    /// Compiles a service for clients in `client_namespace` (scopes are resolved here, once).
    pub fn compile(document: &ServiceDocument, client_namespace: &str) -> (Self, Vec<Problem>) {
        let _ = (document, client_namespace);
        (Self { ports: Vec::new() }, Vec::new())
    }

    /// The port, if the service has it.
    pub fn port(&self, port: u16) -> Option<&CompiledPort> {
        self.ports.iter().find(|candidate| candidate.port == port)
    }
}

impl CompiledInbound {
    /// Compiles what concerns `workload`: selectors are resolved here, once.
    pub fn compile(
        inbound: &InboundDocument,
        mesh: &MeshDocument,
        workload: &Workload,
    ) -> (Self, Vec<Problem>) {
        let _ = (inbound, mesh, workload);
        (Self {}, Vec::new())
    }

    /// What a Service declares of the pod's own port; `Auto` when none does.
    pub fn protocol(&self, port: u16) -> Protocol {
        let _ = port;
        Protocol::Auto
    }

    /// Whether plaintext is taken on the pod's own port.
    pub fn mtls(&self, port: u16) -> MtlsMode {
        let _ = port;
        MtlsMode::Strict
    }
}

impl CompiledGateway {
    /// Compiles a gateway.
    pub fn compile(document: &GatewayDocument) -> (Self, Vec<Problem>) {
        let _ = document;
        (
            Self {
                listeners: Vec::new(),
            },
            Vec::new(),
        )
    }
}

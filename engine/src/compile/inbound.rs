//! The server-side policies that select one workload.

use std::collections::BTreeMap;

use super::authorization::CompiledAuthorization;
use crate::{
    documents::{InboundDocument, MeshDocument, MtlsMode, Protocol},
    identity::Workload,
    problem::{Code, Problem, Severity},
};

/// The server-side policies that select one workload.
#[derive(Debug)]
pub struct CompiledInbound {
    protocols: BTreeMap<u16, Protocol>,
    mtls: MtlsMode,
    mtls_by_port: BTreeMap<u16, MtlsMode>,
    pub(crate) authorization: CompiledAuthorization,
}

impl CompiledInbound {
    /// Compiles what concerns `workload`: selectors are resolved here, once.
    pub fn compile(
        inbound: &InboundDocument,
        mesh: &MeshDocument,
        workload: &Workload,
    ) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let protocols = protocols(inbound, workload, &mut problems);
        let (mtls, mtls_by_port) = mtls(inbound, mesh, workload);
        let policies = inbound
            .authorization
            .iter()
            .chain(&mesh.authorization)
            .filter(|policy| policy.selector.selects(&workload.labels));
        let authorization = CompiledAuthorization::compile(policies, &mut problems);
        let compiled = Self {
            protocols,
            mtls,
            mtls_by_port,
            authorization,
        };
        (compiled, problems)
    }

    /// What a Service declares of the pod's own port; `Auto` when none does.
    pub fn protocol(&self, port: u16) -> Protocol {
        self.protocols.get(&port).copied().unwrap_or_default()
    }

    /// Whether plaintext is taken on the pod's own port.
    pub fn mtls(&self, port: u16) -> MtlsMode {
        self.mtls_by_port.get(&port).copied().unwrap_or(self.mtls)
    }

    /// Whether any policy selects the workload.
    pub fn has_authorization(&self) -> bool {
        !self.authorization.policies.is_empty()
    }
}

/// The first Service that declares a port speaks for it; one that says nothing of the protocol
/// leaves it to the next.
fn protocols(
    inbound: &InboundDocument,
    workload: &Workload,
    problems: &mut Vec<Problem>,
) -> BTreeMap<u16, Protocol> {
    let mut protocols = BTreeMap::new();
    for declared in &inbound.ports {
        if !declared.selector.selects(&workload.labels) {
            continue;
        }
        let known = protocols.entry(declared.port).or_insert(declared.protocol);
        if *known == Protocol::Auto {
            *known = declared.protocol;
        } else if declared.protocol != Protocol::Auto && declared.protocol != *known {
            problems.push(Problem {
                severity: Severity::Warning,
                code: Code::Conflicted,
                object: format!("Service {}/{}", inbound.namespace, declared.service),
                field: "spec.ports[].appProtocol".to_owned(),
                message: format!(
                    "port {} of the same pods is {:?} here and {:?} in another Service, which is taken",
                    declared.port, declared.protocol, known
                ),
                fix: "declare one protocol for the port in both Services".to_owned(),
            });
        }
    }
    protocols
}

/// For each port the first entry that speaks for it: an entry with a mode ends the search, for
/// it speaks for every port that no entry before it named.
fn mtls(
    inbound: &InboundDocument,
    mesh: &MeshDocument,
    workload: &Workload,
) -> (MtlsMode, BTreeMap<u16, MtlsMode>) {
    let mut by_port = BTreeMap::new();
    for policy in &inbound.mtls {
        if !policy.selector.selects(&workload.labels) {
            continue;
        }
        for (port, mode) in &policy.ports {
            by_port.entry(*port).or_insert(*mode);
        }
        if let Some(mode) = policy.mode {
            return (mode, by_port);
        }
    }
    (mesh.mtls.unwrap_or_default(), by_port)
}

//! The server-side policies that select one workload.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::authorization::CompiledAuthorization;
use crate::{
    documents::{InboundDocument, MeshDocument, MtlsMode, Protocol},
    identity::Workload,
    problem::{Code, Problem, Severity},
};

/// The server-side policies that select one workload.
#[derive(Debug)]
pub struct CompiledInbound {
    ports: BTreeMap<u16, DeclaredPort>,
    mtls: ChosenMode,
    mtls_by_port: BTreeMap<u16, ChosenMode>,
    pub(crate) authorization: CompiledAuthorization,
}

/// What Services say of a pod's own port.
#[derive(Debug)]
struct DeclaredPort {
    service: Arc<str>,
    protocol: Protocol,
}

/// An mTLS mode and who chose it.
#[derive(Debug)]
struct ChosenMode {
    mode: MtlsMode,
    /// `namespace/name` of the MeshPolicy; `None`: the mesh's default.
    policy: Option<Box<str>>,
}

impl CompiledInbound {
    /// Compiles what concerns `workload`: selectors are resolved here, once.
    pub fn compile(
        inbound: &InboundDocument,
        mesh: &MeshDocument,
        workload: &Workload,
    ) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let ports = ports(inbound, workload, &mut problems);
        let (mtls, mtls_by_port) = mtls(inbound, mesh, workload);
        let policies = inbound
            .authorization
            .iter()
            .chain(&mesh.authorization)
            .filter(|policy| policy.selector.selects(&workload.labels));
        let authorization = CompiledAuthorization::compile(policies, &mut problems);
        let compiled = Self {
            ports,
            mtls,
            mtls_by_port,
            authorization,
        };
        (compiled, problems)
    }

    /// What a Service declares of the pod's own port; `Auto` when none does.
    pub fn protocol(&self, port: u16) -> Protocol {
        self.ports
            .get(&port)
            .map_or_else(Protocol::default, |declared| declared.protocol)
    }

    /// The first Service that declares the pod's own port; `None` when none does. Shared, so that
    /// metrics and log may keep it.
    pub fn service(&self, port: u16) -> Option<&Arc<str>> {
        self.ports.get(&port).map(|declared| &declared.service)
    }

    /// Whether plaintext is taken on the pod's own port.
    pub fn mtls(&self, port: u16) -> MtlsMode {
        self.chosen(port).mode
    }

    /// What refuses plaintext on the pod's own port, where it is Strict: `namespace/name/mtls` of
    /// the MeshPolicy, or `mtls/strict` where that is the mesh's default.
    pub fn plaintext_denied_by(&self, port: u16) -> Cow<'static, str> {
        match &self.chosen(port).policy {
            Some(policy) => format!("{policy}/mtls").into(),
            None => "mtls/strict".into(),
        }
    }

    fn chosen(&self, port: u16) -> &ChosenMode {
        self.mtls_by_port.get(&port).unwrap_or(&self.mtls)
    }

    /// Whether any policy selects the workload.
    pub fn has_authorization(&self) -> bool {
        !self.authorization.policies.is_empty()
    }
}

/// The first Service that declares a port speaks for it; one that says nothing of the protocol
/// leaves it to the next.
fn ports(
    inbound: &InboundDocument,
    workload: &Workload,
    problems: &mut Vec<Problem>,
) -> BTreeMap<u16, DeclaredPort> {
    let mut ports = BTreeMap::new();
    for declared in &inbound.ports {
        if !declared.selector.selects(&workload.labels) {
            continue;
        }
        let DeclaredPort {
            protocol: known, ..
        } = ports.entry(declared.port).or_insert_with(|| DeclaredPort {
            service: declared.service.as_str().into(),
            protocol: declared.protocol,
        });
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
    ports
}

/// For each port the first entry that speaks for it: an entry with a mode ends the search, for
/// it speaks for every port that no entry before it named.
fn mtls(
    inbound: &InboundDocument,
    mesh: &MeshDocument,
    workload: &Workload,
) -> (ChosenMode, BTreeMap<u16, ChosenMode>) {
    let mut by_port = BTreeMap::new();
    for policy in &inbound.mtls {
        if !policy.selector.selects(&workload.labels) {
            continue;
        }
        let chosen = |mode| ChosenMode {
            mode,
            policy: Some(policy.id.as_str().into()),
        };
        for (port, mode) in &policy.ports {
            by_port.entry(*port).or_insert_with(|| chosen(*mode));
        }
        if let Some(mode) = policy.mode {
            return (chosen(mode), by_port);
        }
    }
    let default = ChosenMode {
        mode: mesh.mtls.unwrap_or_default(),
        policy: None,
    };
    (default, by_port)
}

use std::collections::BTreeSet;

use super::{CompiledGateway, CompiledInbound, CompiledService};
use crate::{
    documents::{
        AuthorizationPolicy, Document, InboundDocument, MeshDocument, Selector, ServiceDocument,
    },
    identity::Workload,
    problem::Problem,
};

/// Compiles a document as every proxy that loads it will, and says what a proxy would find
/// wrong with it.
///
/// A document with findings is published all the same: what cannot be enforced in it fails
/// closed in every proxy, and the rest of it serves.
pub fn check(document: &Document) -> Vec<Problem> {
    match document {
        Document::Service(service) => check_service(service),
        Document::Inbound(inbound) => check_policies(&inbound.authorization),
        Document::Mesh(mesh) => check_policies(&mesh.authorization),
        Document::Gateway(gateway) => CompiledGateway::compile(gateway).1,
        Document::Index(_) | Document::Addresses(_) | Document::Endpoints(_) => Vec::new(),
    }
}

/// Once for each group of clients that sees other rules.
fn check_service(service: &ServiceDocument) -> Vec<Problem> {
    let mut clients: BTreeSet<&str> = service
        .ports
        .iter()
        .flat_map(|port| {
            let http = port.http.iter().map(|scope| &scope.client_namespace);
            let tcp = port.tcp.iter().map(|scope| &scope.client_namespace);
            http.chain(tcp)
        })
        .filter_map(|namespace| namespace.as_deref())
        .collect();
    // No namespace has an empty name: a client of whom no scope speaks.
    clients.insert("");
    let mut problems: Vec<_> = clients
        .into_iter()
        .flat_map(|client| CompiledService::compile(service, client).1)
        .collect();
    problems.sort();
    problems.dedup();
    problems
}

/// Each policy for a workload that it selects.
fn check_policies(policies: &[AuthorizationPolicy]) -> Vec<Problem> {
    if policies.is_empty() {
        return Vec::new();
    }
    let everywhere = InboundDocument {
        authorization: policies
            .iter()
            .cloned()
            .map(|policy| AuthorizationPolicy {
                selector: Selector::default(),
                ..policy
            })
            .collect(),
        ..InboundDocument::default()
    };
    CompiledInbound::compile(&everywhere, &MeshDocument::default(), &Workload::default()).1
}

//! Findings about documents that compile: pure functions, each over one kind of rule.
//!
//! A finding is only made where the documents prove it; what is merely unusual is left alone.

mod authorization;
mod cover;
mod routes;
mod subsets;

use crate::{
    documents::{AuthorizationPolicy, Document, InboundDocument, MeshDocument},
    problem::Problem,
};

/// Unreachable, shadowed, conflicting and too-wide rules, and subsets that nothing is in.
/// Sorted; each finding once, however many documents carry the rule.
pub fn lint<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Vec<Problem> {
    let documents: Vec<_> = documents.into_iter().collect();
    let nothing = MeshDocument::default();
    let mesh = documents
        .iter()
        .find_map(|document| match document {
            Document::Mesh(mesh) => Some(mesh),
            _ => None,
        })
        .unwrap_or(&nothing);
    let mut problems = Vec::new();
    subsets::lint(&documents, &mut problems);
    for document in documents {
        match document {
            Document::Service(service) => {
                for scope in service.ports.iter().flat_map(|port| &port.http) {
                    routes::lint(&scope.rules, None, &mut problems);
                }
            }
            Document::Gateway(gateway) => {
                for listener in &gateway.listeners {
                    let hostname = listener.hostname.as_deref();
                    routes::lint(&listener.http, hostname, &mut problems);
                }
                let policies: Vec<_> = gateway.authorization.iter().collect();
                authorization::lint(&policies, None, &mut problems);
            }
            Document::Inbound(inbound) => {
                let policies: Vec<&AuthorizationPolicy> = inbound
                    .authorization
                    .iter()
                    .chain(&mesh.authorization)
                    .collect();
                let servers = Some((inbound, mesh));
                authorization::lint(&policies, servers, &mut problems);
            }
            Document::Mesh(_)
            | Document::Index(_)
            | Document::Addresses(_)
            | Document::Endpoints(_) => {}
        }
    }
    problems.sort();
    problems.dedup();
    problems
}

/// The server side that policies stand before; a gateway has none.
type Servers<'d> = Option<(&'d InboundDocument, &'d MeshDocument)>;

#[cfg(test)]
mod tests;

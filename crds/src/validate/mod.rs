//! Whether an object means something.
//!
//! In a cluster the API server runs the schema and its CEL rules; standalone and in the CLI the
//! very same schema and rules run here. What neither can say, the engine says: the object is
//! translated and compiled on its own.

mod cel;
mod schema;

#[cfg(test)]
mod tests;

use kube::Resource;
use serde_json::Value;
use weft_engine::{
    compile::{CompiledGateway, CompiledService},
    documents::{GatewayDocument, Protocol, RouteScope, ServiceDocument, ServicePort},
    problem::Problem,
};

use crate::{
    object::{Object, ObjectRef},
    translate::{Findings, authorization, client_fields, mtls, route},
};

/// What the API server would refuse of a manifest of one of the three kinds: unknown fields,
/// types, limits and CEL rules, from the very schema that is installed. Other kinds have none.
pub fn manifest(reference: &ObjectRef, value: &Value) -> Vec<Problem> {
    let Some(checks) = cel::checks(reference.kind) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    let findings = &mut Findings::new(reference, &mut problems);
    schema::check(&checks.schema, value, "", findings);
    // A rule may stumble over a value of the wrong shape, and say nothing that helps.
    if problems.is_empty() {
        cel::check(&checks, value, &mut Findings::new(reference, &mut problems));
    }
    problems
}

/// What neither schema nor CEL can say of an object: whether its patterns compile, and the
/// essentials that lowering stands on.
pub fn object(object: &Object) -> Vec<Problem> {
    let reference = object.reference();
    let (namespace, name) = (&*reference.namespace, &*reference.name);
    let mut problems = Vec::new();
    let findings = &mut Findings::new(&reference, &mut problems);
    match object {
        Object::VirtualRoute(object) => {
            let rules = route(namespace, name, &object.spec, findings);
            let scope = |client_namespace| ServicePort {
                port: 1,
                protocol: Protocol::Http,
                http: vec![RouteScope {
                    client_namespace,
                    rules: rules.http.clone(),
                }],
                ..ServicePort::default()
            };
            let document = ServiceDocument {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ports: vec![scope(None)],
                ..ServiceDocument::default()
            };
            problems.extend(CompiledService::compile(&document, namespace).1);
        }
        Object::AuthPolicy(object) => {
            let policy = authorization(namespace, name, &object.spec, findings);
            let document = GatewayDocument {
                authorization: vec![policy],
                ..GatewayDocument::default()
            };
            problems.extend(CompiledGateway::compile(&document).1);
        }
        Object::MeshPolicy(object) => {
            mtls(&object.spec, findings);
            client_fields(&object.spec, findings);
            if object.spec.target_refs.is_empty() == object.spec.selector.is_none() {
                findings.invalid(
                    "spec.targetRefs",
                    "a policy speaks for targets or for selected pods",
                    "give exactly one of targetRefs and selector",
                );
            }
        }
        Object::Invalid(object) => problems.extend(object.problems.iter().cloned()),
        _ => {}
    }
    problems
}

/// The generation of an object's metadata; 0 where nothing counts it.
pub(crate) fn generation(object: &impl Resource) -> i64 {
    object.meta().generation.unwrap_or_default()
}

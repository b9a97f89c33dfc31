//! World → documents and problems. Pure and deterministic: the same World gives the same bytes.

mod addresses;
mod client_policy;
mod conflicts;
mod endpoints;
mod gateway;
mod inbound;
mod index;
mod mesh;
mod mtls;
mod plaintext;
mod protocol;
mod routes;
mod service;

#[cfg(test)]
mod tests;

use weft_engine::{
    documents::{Document, DocumentName},
    problem::{Code, Problem, Severity},
};

pub(crate) use endpoints::shards;

use crate::{
    object::ObjectRef,
    world::{Key, World},
};

/// What a key lowers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lowered {
    /// Its documents, by name. What was published for the key before and is not among them is
    /// withdrawn.
    pub documents: Vec<(DocumentName, Document)>,
    /// What is wrong with the routes and policies that have a say in it; `Problem::object` is
    /// an [`crate::ObjectRef`]'s text.
    pub problems: Vec<Problem>,
}

/// Lowers one key. A key that has no documents (any more) gives none.
pub fn lower(world: &World, key: &Key) -> Lowered {
    let mut lowered = Lowered::default();
    match key {
        Key::Mesh => mesh::lower(world, &mut lowered),
        Key::Index(shard) => index::lower(world, *shard, &mut lowered),
        Key::Addresses(shard) => addresses::lower(world, *shard, &mut lowered),
        Key::Inbound(namespace) => inbound::lower(world, namespace, &mut lowered),
        Key::Service(namespace, name) => {
            service::lower(world, &(namespace.clone(), name.clone()), &mut lowered);
        }
        Key::Endpoints(namespace, name) => {
            endpoints::lower(world, &(namespace.clone(), name.clone()), &mut lowered);
        }
        Key::Gateway(namespace, name) => {
            gateway::lower(world, &(namespace.clone(), name.clone()), &mut lowered);
        }
    }
    lowered.problems.sort();
    lowered.problems.dedup();
    lowered
}

/// Lowers every key, and adds what the World reports of each object.
pub fn lower_all(world: &World) -> Lowered {
    let mut all = Lowered::default();
    for key in world.keys() {
        let lowered = lower(world, &key);
        all.documents.extend(lowered.documents);
        all.problems.extend(lowered.problems);
    }
    for reference in world.objects() {
        if let Some(report) = world.report(&reference) {
            all.problems.extend(report.problems);
        }
    }
    all.problems.sort();
    all.problems.dedup();
    all
}

impl Lowered {
    fn problem(
        &mut self,
        severity: Severity,
        code: Code,
        object: &ObjectRef,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem {
            severity,
            code,
            object: object.to_string(),
            field: field.into(),
            message: message.into(),
            fix: fix.into(),
        });
    }
}

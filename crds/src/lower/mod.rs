//! World → documents and problems. Pure and deterministic: the same World gives the same bytes.

use weft_engine::{
    documents::{Document, DocumentName},
    problem::Problem,
};

use crate::world::{Key, World};

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

/// Lowers one key.
pub fn lower(world: &World, key: &Key) -> Lowered {
    let _ = (world, key);
    Lowered::default()
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

//! What an object would mean if it were there, in the words of `weft lint` and of its status.
//!
//! The webhook asks before an object is stored, `weft lint` of everything in a directory at once;
//! both say what lowering, compiling and the engine's lint find, and nothing else.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use weft_engine::{
    compile::check,
    documents::Document,
    lint::lint,
    problem::{Code, Problem, Severity},
};

use crate::{
    lower::lower,
    object::{Kind, Object, ObjectRef},
    validate,
    world::{Key, World},
};

/// What is found in documents that is not found in lowering them: parts that no proxy could
/// enforce, and rules that say less, or more, than they seem to.
pub fn findings<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Vec<Problem> {
    let documents: Vec<_> = documents.into_iter().collect();
    let mut problems: Vec<_> = documents.iter().copied().flat_map(check).collect();
    problems.extend(lint(documents));
    problems.sort();
    problems.dedup();
    problems
}

/// What can be said of an object without knowing any other.
pub fn alone(object: &Object) -> Vec<Problem> {
    validate::object(object)
}

/// Whether an object with this problem is refused: what it says cannot be enforced, whatever
/// else is created. A reference to what does not exist yet is none; nor is a contradiction, in
/// which the older object stands.
pub fn refuses(problem: &Problem) -> bool {
    problem.severity == Severity::Error
        && matches!(problem.code, Code::Invalid | Code::UnenforceableOnProtocol)
}

/// An object that is not there, or not as it is written, and the part of the World that decides
/// what it would mean. It holds copies: whoever owns the World goes on.
#[derive(Debug)]
pub struct Proposal {
    object: Object,
    now: World,
}

/// What there is to say of a proposal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Its own problems, and those that others have only because of it.
    pub problems: Vec<Problem>,
    /// Documents that were not looked at because it had been enough.
    pub skipped: usize,
}

impl World {
    /// Takes what it takes to judge an object out of the World.
    pub fn propose(&self, object: Object) -> Proposal {
        Proposal {
            now: self.excerpt(&object),
            object,
        }
    }
}

impl Proposal {
    /// Lowers what the object touches with it in the place of its former self. `enough` is asked
    /// before each document and ends the search: a policy of the whole mesh touches all of them.
    pub fn judge(self, mut enough: impl FnMut() -> bool) -> Judgement {
        let reference = self.object.reference();
        let name = reference.to_string();
        let mut then = self.now.clone();
        let mut keys = keys(&self.now, &reference);
        then.apply(self.object);
        keys.extend(self::keys(&then, &reference));

        let mut judgement = Judgement::default();
        let mut own = BTreeSet::new();
        let mut others: BTreeMap<&Key, Vec<Problem>> = BTreeMap::new();
        let context = context(&then);
        for key in &keys {
            if enough() {
                judgement.skipped += 1;
                continue;
            }
            let (of_it, of_others) = examine(&then, key, &context)
                .into_iter()
                .partition::<Vec<_>, _>(|problem| problem.object == name);
            own.extend(of_it);
            if !of_others.is_empty() {
                others.insert(key, of_others);
            }
        }
        if let Some(report) = then.report(&reference) {
            own.extend(report.problems);
        }
        // What others have with it and without it is none of its doing.
        let context = self::context(&self.now);
        let mut caused = BTreeSet::new();
        for (key, problems) in others {
            if enough() {
                judgement.skipped += 1;
                continue;
            }
            let before = examine(&self.now, key, &context);
            let new = problems.into_iter().filter(|found| !before.contains(found));
            caused.extend(new);
        }
        judgement.problems = own.into_iter().chain(caused).collect();
        judgement
    }
}

/// The keys in which an object's problems, or those that it causes, are found.
fn keys(world: &World, reference: &ObjectRef) -> BTreeSet<Key> {
    let mut keys = world.keys_of(reference);
    // A policy of the whole mesh is found pointless, or makes another so, where the others are.
    if keys.contains(&Key::Mesh) && reference.kind != Kind::VirtualRoute {
        let namespaces = world.inventory.namespaces.keys().cloned();
        keys.extend(namespaces.map(Key::Inbound));
    }
    // Nothing is ever wrong in these.
    keys.retain(|key| !matches!(key, Key::Endpoints(..) | Key::Index(_) | Key::Addresses(_)));
    keys
}

/// What the lint looks at beside a document: the mesh's, and the endpoints that are known.
fn context(world: &World) -> Vec<Document> {
    let services = world.inventory.services.keys();
    let endpoints = services
        .filter(|service| {
            let mut slices = world.inventory.slices(service);
            slices.any(|slice| !slice.endpoints.is_empty())
        })
        .map(|(namespace, name)| Key::Endpoints(namespace.clone(), name.clone()));
    endpoints
        .chain([Key::Mesh])
        .flat_map(|key| lower(world, &key).documents)
        .map(|(_, document)| document)
        .collect()
}

/// Everything there is to say of a key's documents.
fn examine(world: &World, key: &Key, context: &[Document]) -> Vec<Problem> {
    let lowered = lower(world, key);
    let mut problems = lowered.problems;
    let own = lowered.documents.iter().map(|(_, document)| document);
    let beside = context.iter().filter(|_| *key != Key::Mesh);
    problems.extend(findings(own.chain(beside)));
    problems.sort();
    problems.dedup();
    problems
}

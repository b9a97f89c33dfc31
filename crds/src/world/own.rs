//! The three kinds of our own, and quarantine for what is refused.

use std::collections::{BTreeMap, BTreeSet};

use weft_engine::problem::{Problem, Severity};

use super::{
    Key, World,
    facts::{Kept, Name},
    index::edit,
    meaning::{self, digest},
    touched::Trace,
};
use crate::{
    object::{Kind, Object, ObjectRef},
    validate,
};

/// What an object means, and what that was read from.
type Meaning<F> = (F, String);

impl World {
    /// Takes an object of our own kinds, refused ones included.
    pub(super) fn put_own(&mut self, reference: &ObjectRef, object: &Object) {
        let refused: Vec<Problem> = match object {
            Object::Invalid(invalid) => invalid.problems.clone(),
            _ => {
                let mut found = validate::object(object);
                found.retain(|problem| problem.severity == Severity::Error);
                found
            }
        };
        let generation = match object {
            Object::VirtualRoute(object) => validate::generation(&**object),
            Object::MeshPolicy(object) => validate::generation(&**object),
            Object::AuthPolicy(object) => validate::generation(&**object),
            Object::Invalid(object) => object.generation,
            _ => 0,
        };
        let readable = match object {
            Object::Invalid(object) => object.readable.as_ref(),
            object => Some(object),
        };
        let before = self.trace(reference);
        let name = (reference.namespace.clone(), reference.name.clone());
        let seen = Seen {
            name: &name,
            generation,
            refused,
        };
        let changed = match (reference.kind, readable) {
            (Kind::VirtualRoute, readable) => {
                let object = match readable {
                    Some(Object::VirtualRoute(object)) => Some(&**object),
                    _ => None,
                };
                let digest = object.map(|object| digest(object, &object.spec));
                let good = || Some((meaning::route(&name, object?), digest.clone()?));
                let closed = |refused: &[Problem]| {
                    Some((
                        meaning::closed_route(&name, object?, refused),
                        digest.clone()?,
                    ))
                };
                seen.keep(&mut self.routes, good, closed)
            }
            (Kind::MeshPolicy, readable) => {
                let object = match readable {
                    Some(Object::MeshPolicy(object)) => Some(&**object),
                    _ => None,
                };
                let digest = object.map(|object| digest(object, &object.spec));
                let good = || Some((meaning::mesh(&name, object?), digest.clone()?));
                let closed =
                    |_: &[Problem]| Some((meaning::closed_mesh(&name, object?)?, digest.clone()?));
                seen.keep(&mut self.mesh_policies, good, closed)
            }
            (Kind::AuthPolicy, readable) => {
                let object = match readable {
                    Some(Object::AuthPolicy(object)) => Some(&**object),
                    _ => None,
                };
                let digest = object.map(|object| digest(object, &object.spec));
                let good = || Some((meaning::auth(&name, object?), digest.clone()?));
                let closed = |_: &[Problem]| {
                    let digest = digest.clone().unwrap_or_else(|| "unreadable".to_owned());
                    Some((meaning::closed_auth(&name, object), digest))
                };
                seen.keep(&mut self.auth_policies, good, closed)
            }
            _ => false,
        };
        if changed {
            self.retrace(reference, before);
        }
    }

    /// Forgets an object of our own kinds.
    pub(super) fn remove_own(&mut self, reference: &ObjectRef) {
        let before = self.trace(reference);
        let name = (reference.namespace.clone(), reference.name.clone());
        match reference.kind {
            Kind::VirtualRoute => {
                self.routes.remove(&name);
            }
            Kind::MeshPolicy => {
                self.mesh_policies.remove(&name);
            }
            Kind::AuthPolicy => {
                self.auth_policies.remove(&name);
            }
            _ => {}
        }
        self.retrace(reference, before);
    }

    /// Moves an object in the indexes from what it was to what it is, and dirties both.
    pub(super) fn retrace(&mut self, reference: &ObjectRef, before: Trace) {
        let after = self.trace(reference);
        let attached = (
            reference.kind,
            reference.namespace.clone(),
            reference.name.clone(),
        );
        let name = (reference.namespace.clone(), reference.name.clone());
        for (trace, present) in [(&before, false), (&after, true)] {
            for target in &trace.targets {
                edit(
                    &mut self.attached,
                    target.clone(),
                    attached.clone(),
                    present,
                );
            }
            for service in trace.backends.keys() {
                edit(&mut self.forwarders, service.clone(), name.clone(), present);
            }
        }
        // The labels of an endpoint are cut to what subsets name.
        let services: BTreeSet<&Name> = before
            .backends
            .keys()
            .chain(after.backends.keys())
            .collect();
        for service in services {
            let labels = |trace: &Trace| trace.backends.get(service).cloned().unwrap_or_default();
            if labels(&before) != labels(&after) {
                self.dirty
                    .insert(Key::Endpoints(service.0.clone(), service.1.clone()));
            }
        }
        if reference.kind == Kind::MeshPolicy {
            for namespace in before.namespaces.union(&after.namespaces) {
                self.touch_plaintext(namespace);
            }
        }
        self.dirty.extend(before.keys);
        self.dirty.extend(after.keys);
    }
}

/// An object as it was seen.
struct Seen<'a> {
    name: &'a Name,
    generation: i64,
    /// Why it was refused; empty: it was not.
    refused: Vec<Problem>,
}

impl Seen<'_> {
    /// Keeps its meaning: what it says; of a refused one the last good meaning, and where there
    /// is none what stands for it. Says whether anything changed.
    fn keep<F>(
        self,
        all: &mut BTreeMap<Name, Kept<F>>,
        good: impl FnOnce() -> Option<Meaning<F>>,
        closed: impl FnOnce(&[Problem]) -> Option<Meaning<F>>,
    ) -> bool {
        let old = all.get_mut(self.name);
        let is_good = self.refused.is_empty();
        let new = match &old {
            _ if is_good => good(),
            Some(old) if old.good => None,
            _ => closed(&self.refused),
        };
        let had_meaning = old.as_ref().is_some_and(|old| old.good);
        let (facts, digest) = match new {
            Some((facts, digest)) => (Some(facts), digest),
            None => (None, String::new()),
        };
        let mut kept = Kept {
            generation: self.generation,
            good: is_good && facts.is_some(),
            facts,
            refused: self.refused,
            digest,
        };
        if let Some(old) = old {
            let keeps = had_meaning && !is_good;
            if old.generation == kept.generation
                && old.refused == kept.refused
                && (keeps || old.digest == kept.digest)
            {
                return false;
            }
            if keeps {
                kept.facts = old.facts.take();
                kept.good = true;
                kept.digest = std::mem::take(&mut old.digest);
            }
        }
        all.insert(self.name.clone(), kept);
        true
    }
}

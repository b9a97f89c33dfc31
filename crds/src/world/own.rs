//! The three kinds of our own: what they mean, and quarantine for what means nothing.

use std::collections::BTreeSet;

use kube::Resource;
use weft_engine::{
    documents::{AuthAction, AuthRule, AuthorizationPolicy, PolicyMode},
    problem::Problem,
};

use super::{
    Key, World,
    facts::{AuthFacts, Kept, MeshFacts, Name, RouteFacts},
    inventory::edit,
};
use crate::{
    AuthPolicy, MeshPolicy, VirtualRoute,
    object::{Kind, Object, ObjectRef},
    reference::{AuthTarget, AuthTargetKind},
    translate::{self, Findings},
    validate,
};

/// The rule of a policy that fails closed, as refusals name it.
const INVALID_RULE: &str = "invalid";

impl World {
    /// Takes an object of our own kinds, refused ones included.
    pub(super) fn put_own(&mut self, reference: &ObjectRef, object: &Object) {
        let refused = validate::object(object);
        let refused: Vec<Problem> = match object {
            Object::Invalid(invalid) => invalid.problems.clone(),
            _ => refused
                .into_iter()
                .filter(|problem| problem.severity == weft_engine::problem::Severity::Error)
                .collect(),
        };
        let before = self.trace(reference);
        let name = (reference.namespace.clone(), reference.name.clone());
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
        let changed = match reference.kind {
            Kind::VirtualRoute => {
                let (facts, digest) = match readable {
                    Some(Object::VirtualRoute(object)) if refused.is_empty() => (
                        Some(read_route(&name, object)),
                        digest(&**object, &object.spec),
                    ),
                    _ => (None, String::new()),
                };
                keep(
                    self.routes.get_mut(&name),
                    Kept {
                        generation,
                        good: facts.is_some(),
                        facts,
                        refused,
                        digest,
                    },
                )
                .map(|kept| self.routes.insert(name.clone(), kept))
                .is_some()
            }
            Kind::MeshPolicy => {
                let (facts, digest) = match readable {
                    Some(Object::MeshPolicy(object)) if refused.is_empty() => (
                        Some(read_mesh(&name, object)),
                        digest(&**object, &object.spec),
                    ),
                    _ => (None, String::new()),
                };
                keep(
                    self.mesh_policies.get_mut(&name),
                    Kept {
                        generation,
                        good: facts.is_some(),
                        facts,
                        refused,
                        digest,
                    },
                )
                .map(|kept| self.mesh_policies.insert(name.clone(), kept))
                .is_some()
            }
            Kind::AuthPolicy => {
                let had_meaning = self.auth_policies.get(&name).is_some_and(|kept| kept.good);
                let (facts, digest) = match readable {
                    Some(Object::AuthPolicy(object)) if refused.is_empty() => (
                        Some(read_auth(&name, object)),
                        digest(&**object, &object.spec),
                    ),
                    _ if had_meaning => (None, String::new()),
                    Some(Object::AuthPolicy(object)) => (
                        Some(closed(&name, Some(object))),
                        digest(&**object, &object.spec),
                    ),
                    _ => (Some(closed(&name, None)), "unreadable".to_owned()),
                };
                keep(
                    self.auth_policies.get_mut(&name),
                    Kept {
                        generation,
                        good: refused.is_empty(),
                        facts,
                        refused,
                        digest,
                    },
                )
                .map(|kept| self.auth_policies.insert(name.clone(), kept))
                .is_some()
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
    fn retrace(&mut self, reference: &ObjectRef, before: super::touched::Trace) {
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
            let labels = |trace: &super::touched::Trace| {
                trace.backends.get(service).cloned().unwrap_or_default()
            };
            if labels(&before) != labels(&after) {
                self.dirty
                    .insert(Key::Endpoints(service.0.clone(), service.1.clone()));
            }
        }
        self.dirty.extend(before.keys);
        self.dirty.extend(after.keys);
    }
}

/// What is to be kept: the new meaning, or the last good one with the refusal beside it.
/// `None` when nothing changed.
fn keep<F: Clone>(old: Option<&mut Kept<F>>, mut new: Kept<F>) -> Option<Kept<F>> {
    if let Some(old) = old {
        if old.generation == new.generation
            && old.refused == new.refused
            && (old.digest == new.digest || new.facts.is_none())
        {
            return None;
        }
        if new.facts.is_none() {
            new.facts = old.facts.take();
            new.good = old.good;
            new.digest = std::mem::take(&mut old.digest);
        }
    }
    Some(new)
}

fn digest(object: &impl Resource, spec: &impl serde::Serialize) -> String {
    // Specs are small and few; their text is the digest.
    let spec = serde_json::to_string(spec).unwrap_or_default();
    format!("{} {spec}", age(object))
}

fn age(object: &impl Resource) -> i64 {
    object
        .meta()
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second())
}

fn read_route(name: &Name, object: &VirtualRoute) -> RouteFacts {
    let reference = ObjectRef::new(Kind::VirtualRoute, &*name.0, &*name.1);
    RouteFacts {
        age: age(object),
        parents: object.spec.parent_refs.clone(),
        rules: translate::route(
            &name.0,
            &name.1,
            &object.spec,
            &mut Findings::new(&reference, &mut Vec::new()),
        ),
    }
}

fn read_mesh(name: &Name, object: &MeshPolicy) -> MeshFacts {
    let reference = ObjectRef::new(Kind::MeshPolicy, &*name.0, &*name.1);
    let mut problems = Vec::new();
    let findings = &mut Findings::new(&reference, &mut problems);
    let spec = &object.spec;
    MeshFacts {
        age: age(object),
        targets: spec.target_refs.clone(),
        selector: spec
            .selector
            .as_ref()
            .map(|selector| selector.match_labels.clone()),
        mtls: translate::mtls(spec, findings),
        client: translate::client_fields(spec, findings),
        is_client_side: translate::is_client_side(spec),
    }
}

fn read_auth(name: &Name, object: &AuthPolicy) -> AuthFacts {
    let reference = ObjectRef::new(Kind::AuthPolicy, &*name.0, &*name.1);
    AuthFacts {
        age: age(object),
        targets: object.spec.target_refs.clone(),
        selector: object
            .spec
            .selector
            .as_ref()
            .map(|selector| selector.match_labels.clone()),
        policy: translate::authorization(
            &name.0,
            &name.1,
            &object.spec,
            &mut Findings::new(&reference, &mut Vec::new()),
        ),
    }
}

/// What stands for an AuthPolicy that means nothing and never meant anything. As far as it can
/// be read it says whom it guards and what for: an Allow permits nothing then, a Deny refuses
/// everything, what only looks on does nothing. Of what cannot be read at all the worst is
/// assumed: it refuses everything in its namespace, by name.
fn closed(name: &Name, object: Option<&AuthPolicy>) -> AuthFacts {
    let read = object.map(|object| read_auth(name, object));
    let everything = AuthTarget {
        kind: AuthTargetKind::Namespace,
        name: None,
    };
    let refuse_all = AuthorizationPolicy {
        id: format!("{}/{}", name.0, name.1),
        selector: weft_engine::documents::Selector::All,
        action: AuthAction::Deny,
        mode: PolicyMode::Enforce,
        rules: vec![AuthRule {
            name: INVALID_RULE.to_owned(),
            ..AuthRule::default()
        }],
        unknown: Vec::new(),
    };
    let Some(mut read) = read else {
        return AuthFacts {
            age: 0,
            targets: vec![everything],
            selector: None,
            policy: refuse_all,
        };
    };
    if read.targets.is_empty()
        && read
            .selector
            .as_ref()
            .is_none_or(|labels| labels.is_empty())
    {
        read.targets = vec![everything];
        read.selector = None;
    }
    read.policy.rules = match read.policy.action {
        AuthAction::Deny => refuse_all.rules,
        AuthAction::Allow | AuthAction::Audit => Vec::new(),
    };
    read
}

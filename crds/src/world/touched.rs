//! What a route or policy speaks for, and which keys that touches.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Key, World,
    facts::{AuthFacts, MeshFacts, Name, RouteFacts, Target},
};
use crate::{
    object::{Kind, ObjectRef},
    reference::{AuthTargetKind, MeshTargetKind, ParentKind, ParentRef},
};

/// Where an object stands in the indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) targets: BTreeSet<Target>,
    pub(super) keys: BTreeSet<Key>,
    /// Namespaces whose pods' mutual TLS a policy speaks of.
    pub(super) namespaces: BTreeSet<String>,
    /// Services that a route forwards to, with the label keys of its subsets.
    pub(super) backends: BTreeMap<Name, BTreeSet<String>>,
}

/// The parent that a reference of a route in `namespace` means.
pub(crate) fn parent(namespace: &str, parent: &ParentRef) -> Target {
    let name = (
        parent
            .namespace
            .clone()
            .unwrap_or_else(|| namespace.to_owned()),
        parent.name.clone(),
    );
    match parent.kind {
        ParentKind::Service => Target::Service(name),
        ParentKind::Gateway => Target::Gateway(name),
    }
}

impl World {
    pub(super) fn trace(&self, reference: &ObjectRef) -> Trace {
        let name = (reference.namespace.clone(), reference.name.clone());
        let mut trace = Trace::default();
        match reference.kind {
            Kind::VirtualRoute => {
                if let Some(facts) = self.routes.get(&name).and_then(|kept| kept.facts.as_ref()) {
                    trace_route(&name, facts, &mut trace);
                }
            }
            Kind::MeshPolicy => {
                let kept = self.mesh_policies.get(&name);
                if let Some(facts) = kept.and_then(|kept| kept.facts.as_ref()) {
                    self.trace_mesh(&name, facts, &mut trace);
                }
            }
            Kind::AuthPolicy => {
                let kept = self.auth_policies.get(&name);
                if let Some(facts) = kept.and_then(|kept| kept.facts.as_ref()) {
                    trace_auth(&name, facts, &mut trace);
                }
            }
            _ => {}
        }
        // An object that means nothing is still looked at: its status has to be written.
        let kept = match reference.kind {
            Kind::VirtualRoute => self.routes.contains_key(&name),
            Kind::MeshPolicy => self.mesh_policies.contains_key(&name),
            Kind::AuthPolicy => self.auth_policies.contains_key(&name),
            _ => false,
        };
        if kept && trace.keys.is_empty() {
            trace
                .targets
                .insert(Target::Pods(reference.namespace.clone()));
            trace.keys.insert(Key::Inbound(reference.namespace.clone()));
        }
        trace
    }

    fn trace_mesh(&self, (namespace, _): &Name, facts: &MeshFacts, trace: &mut Trace) {
        let disables = facts.mtls.as_ref().is_some_and(|mtls| mtls.disables());
        let all_in = |trace: &mut Trace, namespace: &str, client: bool| {
            if facts.mtls.is_some() {
                trace.namespaces.insert(namespace.to_owned());
            }
            if disables {
                let shards = self.inventory.address_shards_of(namespace);
                trace.keys.extend(shards.into_iter().map(Key::Addresses));
            }
            if !client && !disables {
                return;
            }
            for ((namespace, service), _) in self.inventory.services_in(namespace) {
                if client {
                    trace
                        .keys
                        .insert(Key::Service(namespace.clone(), service.clone()));
                }
                if disables {
                    trace
                        .keys
                        .insert(Key::Endpoints(namespace.clone(), service.clone()));
                }
            }
        };
        if facts.selector.is_some() {
            trace.targets.insert(Target::Pods(namespace.clone()));
            trace.keys.insert(Key::Inbound(namespace.clone()));
            all_in(trace, namespace, false);
        }
        for target in &facts.targets {
            match target.kind {
                MeshTargetKind::Mesh => {
                    trace.targets.insert(Target::Mesh);
                    trace.keys.insert(Key::Mesh);
                    let services = self.inventory.services.keys();
                    let pods = self.inventory.pods.keys();
                    let namespaces: BTreeSet<&String> = services
                        .chain(pods)
                        .map(|(namespace, _)| namespace)
                        .collect();
                    for namespace in namespaces {
                        all_in(trace, namespace, facts.is_client_side);
                    }
                }
                MeshTargetKind::Namespace => {
                    trace.targets.insert(Target::Namespace(namespace.clone()));
                    trace.keys.insert(Key::Inbound(namespace.clone()));
                    all_in(trace, namespace, facts.is_client_side);
                }
                MeshTargetKind::Service => {
                    let service = target.name.clone().unwrap_or_default();
                    trace
                        .targets
                        .insert(Target::Service((namespace.clone(), service.clone())));
                    trace.keys.insert(Key::Inbound(namespace.clone()));
                    trace.keys.insert(Key::Service(namespace.clone(), service));
                    // Its pods may stand behind other Services too.
                    all_in(trace, namespace, false);
                }
            }
        }
    }
}

fn trace_route((namespace, _): &Name, facts: &RouteFacts, trace: &mut Trace) {
    for reference in &facts.parents {
        let target = parent(namespace, reference);
        trace.keys.extend(match &target {
            Target::Service((namespace, name)) => {
                Some(Key::Service(namespace.clone(), name.clone()))
            }
            Target::Gateway((namespace, name)) => {
                Some(Key::Gateway(namespace.clone(), name.clone()))
            }
            _ => None,
        });
        trace.targets.insert(target);
    }
    for (service, labels) in facts.backends() {
        let labels = labels.into_iter().map(str::to_owned).collect();
        trace.backends.insert(service, labels);
    }
}

fn trace_auth((namespace, _): &Name, facts: &AuthFacts, trace: &mut Trace) {
    if facts.selector.is_some() {
        trace.targets.insert(Target::Pods(namespace.clone()));
        trace.keys.insert(Key::Inbound(namespace.clone()));
    }
    for target in &facts.targets {
        let name = (namespace.clone(), target.name.clone().unwrap_or_default());
        let (target, key) = match target.kind {
            AuthTargetKind::Mesh => (Target::Mesh, Key::Mesh),
            AuthTargetKind::Namespace => (
                Target::Namespace(namespace.clone()),
                Key::Inbound(namespace.clone()),
            ),
            AuthTargetKind::Service => (Target::Service(name), Key::Inbound(namespace.clone())),
            AuthTargetKind::Gateway => {
                (Target::Gateway(name.clone()), Key::Gateway(name.0, name.1))
            }
        };
        trace.targets.insert(target);
        trace.keys.insert(key);
    }
}

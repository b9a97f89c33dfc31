//! The part of the World that decides what one object would mean.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    World,
    facts::{Kept, MeshFacts, Name, PodFacts, RouteFacts, SliceFacts, Target},
    meaning,
    touched::{Trace, parent},
};
use crate::{
    object::{Kind, Object, ObjectRef},
    reference::{AuthTargetKind, MeshTargetKind},
};

/// What to take over.
#[derive(Default)]
struct Scope {
    /// Parents of routes: with them come their routes, and where those forward to.
    parents: BTreeSet<Target>,
    /// Services that are forwarded to, and whether subsets of them are named: then with their
    /// endpoints.
    backends: BTreeMap<Name, bool>,
    /// With all their Services and policies.
    namespaces: BTreeSet<String>,
}

impl World {
    /// What `object` would be lowered with: the facts around it as it is written and as it is
    /// now, copied. The whole costs what the change itself would: of a route its parents and
    /// backends, of a policy its namespace, of a policy of the whole mesh every Service.
    /// The object itself is in it as it is now.
    pub(crate) fn excerpt(&self, object: &Object) -> Self {
        let reference = object.reference();
        let mut part = Self::new(self.settings.clone());
        part.copy(&self.scope(object, &reference), self);
        // Last: what it touches is known from what is there.
        part.adopt(&reference, self);
        part.dirty.clear();
        part
    }

    fn scope(&self, object: &Object, reference: &ObjectRef) -> Scope {
        let name = (reference.namespace.clone(), reference.name.clone());
        let mut scope = Scope::default();
        let mut everywhere = false;
        match object {
            Object::VirtualRoute(route) => {
                let now = self.routes.get(&name).and_then(|kept| kept.facts.as_ref());
                let then = meaning::route(&name, route);
                for facts in [Some(&then), now].into_iter().flatten() {
                    scope.take_route(&name, facts);
                }
            }
            Object::AuthPolicy(policy) => {
                let now = self
                    .auth_policies
                    .get(&name)
                    .and_then(|kept| kept.facts.as_ref());
                let now = now.map(|facts| &facts.targets);
                let mut targets = policy
                    .spec
                    .target_refs
                    .iter()
                    .chain(now.into_iter().flatten());
                everywhere = targets.any(|target| target.kind == AuthTargetKind::Mesh);
                scope.namespaces.insert(name.0.clone());
            }
            Object::MeshPolicy(policy) => {
                let now = self
                    .mesh_policies
                    .get(&name)
                    .and_then(|kept| kept.facts.as_ref());
                let now = now.map(|facts: &MeshFacts| &facts.targets);
                let mut targets = policy
                    .spec
                    .target_refs
                    .iter()
                    .chain(now.into_iter().flatten());
                everywhere = targets.any(|target| target.kind == MeshTargetKind::Mesh);
                scope.namespaces.insert(name.0.clone());
            }
            _ => {}
        }
        if everywhere && name.0 == self.settings.root_namespace {
            scope
                .namespaces
                .extend(self.inventory.namespaces.keys().cloned());
        }
        scope
    }

    fn copy(&mut self, scope: &Scope, from: &World) {
        for target in &scope.parents {
            self.copy_parent(target, from);
        }
        for (service, subsets) in &scope.backends {
            self.copy_service(service, from, *subsets);
        }
        for namespace in &scope.namespaces {
            self.know(&ObjectRef::new(Kind::Namespace, "", namespace.clone()));
            for (service, _) in from.inventory.services_in(namespace) {
                self.copy_service(service, from, false);
            }
            for (pod, facts) in from.inventory.pods_in(namespace) {
                // Who has a proxy; not where it is.
                let facts = PodFacts {
                    ips: Vec::new(),
                    ..facts.clone()
                };
                self.put_pod(pod, Some(facts));
            }
            let first = (namespace.clone(), String::new());
            let gateways = from.inventory.gateways.range(first..);
            for (gateway, facts) in gateways.take_while(|((of, _), _)| of == namespace) {
                self.put_gateway(gateway, Some(facts.clone()));
                self.adopt_attached(&Target::Gateway(gateway.clone()), &[Kind::AuthPolicy], from);
            }
            self.adopt_policies(Target::Namespace(namespace.clone()), from);
            self.adopt_policies(Target::Pods(namespace.clone()), from);
            for target in from.service_targets(namespace) {
                self.adopt_policies(target.clone(), from);
            }
        }
        self.adopt_policies(Target::Mesh, from);
    }

    /// A Service or Gateway as its clients are told of it.
    fn copy_parent(&mut self, target: &Target, from: &World) {
        match target {
            Target::Service(service) => {
                self.copy_service(service, from, false);
                self.adopt_policies(Target::Namespace(service.0.clone()), from);
            }
            Target::Gateway(gateway) => {
                let facts = from.inventory.gateways.get(gateway).cloned();
                self.put_gateway(gateway, facts);
            }
            _ => {}
        }
        self.adopt_policies(target.clone(), from);
        for route in from.attached(target, Kind::VirtualRoute) {
            let facts = from.routes.get(&route).and_then(|kept| kept.facts.as_ref());
            for backend in facts.map(RouteFacts::backends).unwrap_or_default().keys() {
                self.copy_service(backend, from, false);
            }
            self.adopt(&ObjectRef::new(Kind::VirtualRoute, route.0, route.1), from);
        }
    }

    /// A Service and what its slices say of its ports; only where it is asked for, its endpoints
    /// and their pods.
    fn copy_service(&mut self, service: &Name, from: &World, endpoints: bool) {
        let Some(facts) = from.inventory.services.get(service) else {
            return;
        };
        self.put_service(service, Some(facts.clone()));
        for slice in from.inventory.slices_of.get(service).into_iter().flatten() {
            let name = (service.0.clone(), slice.clone());
            let Some(facts) = from.inventory.slices.get(&name) else {
                continue;
            };
            if !endpoints {
                if !self.inventory.slices.contains_key(&name) {
                    let ports = SliceFacts {
                        service: facts.service.clone(),
                        ipv6: facts.ipv6,
                        ports: facts.ports.clone(),
                        ..SliceFacts::default()
                    };
                    self.put_slice(&name, Some(ports));
                }
                continue;
            }
            for endpoint in &facts.endpoints {
                let pod = endpoint.pod.as_deref();
                if let Some((pod, facts)) = from.inventory.pod(&service.0, pod, endpoint.address) {
                    self.put_pod(pod, Some(facts.clone()));
                }
            }
            self.put_slice(&name, Some(facts.clone()));
        }
    }

    fn adopt_policies(&mut self, target: Target, from: &World) {
        self.adopt_attached(&target, &[Kind::MeshPolicy, Kind::AuthPolicy], from);
    }

    fn adopt_attached(&mut self, target: &Target, kinds: &[Kind], from: &World) {
        for kind in kinds {
            for (namespace, name) in from.attached(target, *kind) {
                self.adopt(&ObjectRef::new(*kind, namespace, name), from);
            }
        }
    }

    /// An object of our own kinds with the meaning that it has.
    fn adopt(&mut self, reference: &ObjectRef, from: &World) {
        fn put<F: Clone>(
            name: &Name,
            from: &BTreeMap<Name, Kept<F>>,
            to: &mut BTreeMap<Name, Kept<F>>,
        ) -> bool {
            match from.get(name) {
                Some(kept) if !to.contains_key(name) => {
                    to.insert(name.clone(), kept.clone());
                    true
                }
                _ => false,
            }
        }
        let name = (reference.namespace.clone(), reference.name.clone());
        let news = match reference.kind {
            Kind::VirtualRoute => put(&name, &from.routes, &mut self.routes),
            Kind::MeshPolicy => put(&name, &from.mesh_policies, &mut self.mesh_policies),
            Kind::AuthPolicy => put(&name, &from.auth_policies, &mut self.auth_policies),
            _ => false,
        };
        if news {
            self.retrace(reference, Trace::default());
            self.know(reference);
        }
    }
}

impl Scope {
    fn take_route(&mut self, route: &Name, facts: &RouteFacts) {
        let parents = facts.parents.iter();
        self.parents
            .extend(parents.map(|reference| parent(&route.0, reference)));
        for (backend, labels) in facts.backends() {
            *self.backends.entry(backend).or_default() |= !labels.is_empty();
        }
    }
}

//! What runs changes: what is known of it, and the keys that are to be lowered again.

use std::{collections::BTreeSet, net::IpAddr};

use weft_engine::documents::{AddressesDocument, IndexDocument};

use super::{
    Key, World,
    facts::{GatewayFacts, Name, PodFacts, ServiceFacts, SliceFacts, Target},
    index::edit,
    inventory::shards_of_pod,
};
use crate::{
    lower::shards,
    object::{Kind, ObjectRef},
};

impl World {
    pub(super) fn put_service(&mut self, name: &Name, facts: Option<ServiceFacts>) {
        let old = self.inventory.services.get(name);
        if old == facts.as_ref() {
            return;
        }
        let addresses = |facts: Option<&ServiceFacts>| -> BTreeSet<IpAddr> {
            facts
                .into_iter()
                .flat_map(|facts| facts.cluster_ips.clone())
                .collect()
        };
        let ports = |facts: Option<&ServiceFacts>| {
            facts.map(|facts| {
                let ports = facts.ports.iter();
                ports.map(|port| port.port).collect::<Vec<_>>()
            })
        };
        let (before, after) = (addresses(old), addresses(facts.as_ref()));
        let same_ports = ports(old) == ports(facts.as_ref());
        // What is said of it where its pods are called by address.
        let stands_for = |facts: Option<&ServiceFacts>| {
            facts.map(|facts| (facts.is_headless(), facts.ports.clone()))
        };
        let same_pods = stands_for(old) == stands_for(facts.as_ref());
        for address in before.symmetric_difference(&after) {
            edit(
                &mut self.inventory.claims,
                *address,
                name.clone(),
                after.contains(address),
            );
            self.dirty
                .insert(Key::Index(IndexDocument::shard_of(*address)));
        }
        match facts {
            Some(facts) => self.inventory.services.insert(name.clone(), facts),
            None => self.inventory.services.remove(name),
        };
        let (namespace, service) = name.clone();
        self.dirty.extend([
            Key::Service(namespace.clone(), service.clone()),
            Key::Endpoints(namespace.clone(), service),
            Key::Inbound(namespace),
        ]);
        if !same_ports {
            self.touch_forwarders(name);
        }
        if !same_pods {
            let slices: Vec<&SliceFacts> = self.inventory.slices(name).collect();
            let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
            let touched: BTreeSet<u8> = endpoints
                .flat_map(|endpoint| self.inventory.shards_of_endpoint(&name.0, endpoint))
                .collect();
            self.dirty.extend(touched.into_iter().map(Key::Addresses));
        }
        // A policy may speak for the pods that it selects.
        self.touch_plaintext(&name.0);
    }

    pub(super) fn put_slice(&mut self, name: &Name, facts: Option<SliceFacts>) {
        let old = self.inventory.slices.get(name).cloned();
        if old == facts {
            return;
        }
        let services: BTreeSet<Name> = old
            .iter()
            .chain(&facts)
            .map(|facts| (name.0.clone(), facts.service.clone()))
            .collect();
        let touched = self.shards_touched_by(&name.0, old.as_ref(), facts.as_ref());
        self.dirty.extend(touched.into_iter().map(Key::Addresses));
        let before: Vec<usize> = services
            .iter()
            .map(|service| shards(&self.inventory, service))
            .collect();
        if let Some(old) = &old {
            self.index_slice(name, old, false);
        }
        if let Some(new) = &facts {
            self.index_slice(name, new, true);
        }
        match facts {
            Some(facts) => self.inventory.slices.insert(name.clone(), facts),
            None => self.inventory.slices.remove(name),
        };
        for (service, before) in services.into_iter().zip(before) {
            let named = self
                .inventory
                .services
                .get(&service)
                .is_some_and(ServiceFacts::has_named_targets);
            if shards(&self.inventory, &service) != before {
                self.dirty
                    .insert(Key::Service(service.0.clone(), service.1.clone()));
            }
            if named {
                self.dirty.insert(Key::Inbound(service.0.clone()));
                self.touch_plaintext(&service.0);
            }
            self.dirty.insert(Key::Endpoints(service.0, service.1));
        }
    }

    fn index_slice(&mut self, name: &Name, facts: &SliceFacts, present: bool) {
        let (namespace, slice) = name;
        edit(
            &mut self.inventory.slices_of,
            (namespace.clone(), facts.service.clone()),
            slice.clone(),
            present,
        );
        for endpoint in &facts.endpoints {
            match &endpoint.pod {
                Some(pod) => edit(
                    &mut self.inventory.slices_by_pod,
                    (namespace.clone(), pod.clone()),
                    slice.clone(),
                    present,
                ),
                None => edit(
                    &mut self.inventory.slices_by_address,
                    endpoint.address,
                    name.clone(),
                    present,
                ),
            }
        }
    }

    /// The shards in which something is said of pods that a slice brings or takes. Readiness is
    /// not: who dials a pod has chosen it.
    fn shards_touched_by(
        &self,
        namespace: &str,
        old: Option<&SliceFacts>,
        new: Option<&SliceFacts>,
    ) -> BTreeSet<u8> {
        let says = |facts: Option<&SliceFacts>| {
            facts.map(|facts| (facts.service.clone(), facts.ports.clone()))
        };
        let stands = |facts: Option<&SliceFacts>| -> BTreeSet<(IpAddr, Option<String>)> {
            let endpoints = facts.into_iter().flat_map(|facts| &facts.endpoints);
            endpoints
                .map(|endpoint| (endpoint.address, endpoint.pod.clone()))
                .collect()
        };
        let (before, after) = (stands(old), stands(new));
        let same = says(old) == says(new);
        old.into_iter()
            .chain(new)
            .flat_map(|facts| &facts.endpoints)
            .filter(|endpoint| {
                let stands = (endpoint.address, endpoint.pod.clone());
                !same || before.contains(&stands) != after.contains(&stands)
            })
            .flat_map(|endpoint| self.inventory.shards_of_endpoint(namespace, endpoint))
            .collect()
    }

    /// Where some policy switches mutual TLS off, what the others say, and whom they mean, decides
    /// which pods of the namespace are called in plaintext.
    pub(super) fn touch_plaintext(&mut self, namespace: &str) {
        if !self.switches_mtls_off(namespace) {
            return;
        }
        let services = self.inventory.services_in(namespace);
        let endpoints: Vec<Key> = services
            .map(|((namespace, name), _)| Key::Endpoints(namespace.clone(), name.clone()))
            .collect();
        self.dirty.extend(endpoints);
        let shards = self.inventory.address_shards_of(namespace);
        self.dirty.extend(shards.into_iter().map(Key::Addresses));
    }

    pub(super) fn put_pod(&mut self, name: &Name, facts: Option<PodFacts>) {
        let old = self.inventory.pods.get(name).cloned();
        if old == facts {
            return;
        }
        for (facts, present) in [(&old, false), (&facts, true)] {
            for address in facts.iter().flat_map(|facts| &facts.ips) {
                let shard = AddressesDocument::shard_of(*address);
                edit(
                    &mut self.inventory.pods_by_address,
                    (shard, *address),
                    name.clone(),
                    present,
                );
            }
        }
        let mut slices: BTreeSet<Name> = self
            .inventory
            .slices_by_pod
            .get(name)
            .into_iter()
            .flatten()
            .map(|slice| (name.0.clone(), slice.clone()))
            .collect();
        for address in old.iter().chain(&facts).flat_map(|facts| &facts.ips) {
            let by_address = self.inventory.slices_by_address.get(address);
            slices.extend(by_address.into_iter().flatten().cloned());
        }
        let account = |facts: &PodFacts| (name.0.clone(), facts.service_account.clone());
        let (left, joined) = (old.as_ref().map(account), facts.as_ref().map(account));
        if left != joined {
            if let Some(joined) = joined {
                self.inventory.accounts.named(joined);
            }
            if let Some(left) = left {
                self.inventory.accounts.unnamed(left);
            }
        }
        // Policies that select it say that it is outside the mesh.
        let outside = |facts: &Option<PodFacts>| {
            let outside = facts.as_ref().filter(|facts| !facts.meshed);
            outside.map(|facts| facts.labels.clone())
        };
        if outside(&old) != outside(&facts) && self.has_policies(&name.0) {
            self.dirty.insert(Key::Inbound(name.0.clone()));
        }
        let shards: BTreeSet<u8> = shards_of_pod(old.as_ref())
            .chain(shards_of_pod(facts.as_ref()))
            .collect();
        self.dirty.extend(shards.into_iter().map(Key::Addresses));
        match facts {
            Some(facts) => self.inventory.pods.insert(name.clone(), facts),
            None => self.inventory.pods.remove(name),
        };
        for slice in slices {
            if let Some(facts) = self.inventory.slices.get(&slice) {
                self.dirty
                    .insert(Key::Endpoints(slice.0, facts.service.clone()));
            }
        }
    }

    pub(super) fn put_gateway(&mut self, name: &Name, facts: Option<GatewayFacts>) {
        if self.inventory.gateways.get(name) == facts.as_ref() {
            return;
        }
        match facts {
            Some(facts) => self.inventory.gateways.insert(name.clone(), facts),
            None => self.inventory.gateways.remove(name),
        };
        self.dirty
            .insert(Key::Gateway(name.0.clone(), name.1.clone()));
    }

    /// Routes that forward to a Service say whether it exists.
    fn touch_forwarders(&mut self, service: &Name) {
        let routes = self.forwarders.get(service).cloned().unwrap_or_default();
        for (namespace, name) in routes {
            let keys = self.keys_of(&ObjectRef::new(Kind::VirtualRoute, namespace, name));
            self.dirty.extend(keys);
        }
    }

    /// Counts an object in its namespace. A namespace that comes or goes has its inbound
    /// document with it: a proxy asks for it before anything else.
    pub(super) fn know(&mut self, reference: &ObjectRef) {
        if !self.inventory.known.insert(reference.clone()) {
            return;
        }
        let namespace = namespace_of(reference);
        let count = self
            .inventory
            .namespaces
            .entry(namespace.clone())
            .or_default();
        *count += 1;
        if *count == 1 {
            self.dirty.insert(Key::Inbound(namespace));
        }
    }

    pub(super) fn forget(&mut self, reference: &ObjectRef) {
        if !self.inventory.known.remove(reference) {
            return;
        }
        let namespace = namespace_of(reference);
        if let Some(count) = self.inventory.namespaces.get_mut(&namespace) {
            *count -= 1;
            if *count == 0 {
                self.inventory.namespaces.remove(&namespace);
                self.dirty.insert(Key::Inbound(namespace));
            }
        }
    }

    /// The policies and routes that speak for a target.
    pub(crate) fn attached(
        &self,
        target: &Target,
        kind: Kind,
    ) -> impl Iterator<Item = Name> + use<'_> {
        self.attached
            .get(target)
            .into_iter()
            .flatten()
            .filter(move |(of, _, _)| *of == kind)
            .map(|(_, namespace, name)| (namespace.clone(), name.clone()))
    }
}

fn namespace_of(reference: &ObjectRef) -> String {
    match reference.kind {
        Kind::Namespace => reference.name.clone(),
        _ => reference.namespace.clone(),
    }
}

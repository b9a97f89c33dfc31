//! What runs: Services, EndpointSlices, Pods, Gateways, accounts; and what a change of one of
//! them touches.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use weft_engine::documents::{AddressesDocument, IndexDocument};

use super::{
    Key, World,
    accounts::Accounts,
    facts::{EndpointFacts, GatewayFacts, Name, PodFacts, ServiceFacts, SliceFacts, Target},
    index::{Index, edit},
};
use crate::{
    lower::shards,
    object::{Kind, ObjectRef},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) services: BTreeMap<Name, ServiceFacts>,
    pub(crate) slices: BTreeMap<Name, SliceFacts>,
    pub(crate) pods: BTreeMap<Name, PodFacts>,
    pub(crate) gateways: BTreeMap<Name, GatewayFacts>,
    pub(super) accounts: Accounts,
    /// How many objects of any kind are known in a namespace.
    pub(crate) namespaces: BTreeMap<String, usize>,
    /// Every object that is known, to count each once.
    known: BTreeSet<ObjectRef>,
    /// Service → the names of its slices.
    pub(crate) slices_of: Index<Name, String>,
    /// ClusterIP → the Services that claim it; more than one only while one replaces another.
    pub(crate) claims: Index<IpAddr, Name>,
    /// Pod → the slices that name it.
    slices_by_pod: Index<Name, String>,
    /// Address → the slices that hold it without naming a pod, by `(namespace, slice)`.
    slices_by_address: Index<IpAddr, Name>,
    /// Address, after the shard of its document → the pod that has it.
    pods_by_address: Index<(u8, IpAddr), Name>,
}

impl Inventory {
    /// How many objects are known.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// The pod behind an endpoint: by name, else by address.
    pub(crate) fn pod(
        &self,
        namespace: &str,
        pod: Option<&str>,
        address: IpAddr,
    ) -> Option<(&Name, &PodFacts)> {
        let named = pod.and_then(|pod| {
            self.pods
                .get_key_value(&(namespace.to_owned(), pod.to_owned()))
        });
        named.or_else(|| {
            if pod.is_some() {
                return None;
            }
            self.pod_at(address)
        })
    }

    /// The pod that has an address; the youngest, while it passes from one to another.
    fn pod_at(&self, address: IpAddr) -> Option<(&Name, &PodFacts)> {
        let key = (AddressesDocument::shard_of(address), address);
        let names = self.pods_by_address.get(&key)?;
        let pods = names
            .iter()
            .filter_map(|name| self.pods.get_key_value(name));
        pods.max_by_key(|(name, pod)| (pod.age, *name))
    }

    /// The pods whose addresses are in a shard.
    pub(crate) fn pods_in_shard(
        &self,
        shard: u8,
    ) -> impl Iterator<Item = (IpAddr, &Name, &PodFacts)> + '_ {
        let lowest = (shard, IpAddr::from([0, 0, 0, 0]));
        self.pods_by_address
            .range(lowest..)
            .take_while(move |((of, _), _)| *of == shard)
            .filter_map(|((_, address), _)| {
                let (name, pod) = self.pod_at(*address)?;
                Some((*address, name, pod))
            })
    }

    /// The shards that hold addresses of pods.
    pub(crate) fn address_shards(&self) -> BTreeSet<u8> {
        let addresses = self.pods_by_address.keys();
        addresses.map(|(shard, _)| *shard).collect()
    }

    /// The shards that hold addresses of a namespace's pods.
    pub(crate) fn address_shards_of(&self, namespace: &str) -> BTreeSet<u8> {
        self.pods
            .range((namespace.to_owned(), String::new())..)
            .take_while(|((of, _), _)| of == namespace)
            .flat_map(|(_, pod)| &pod.ips)
            .map(|address| AddressesDocument::shard_of(*address))
            .collect()
    }

    /// The slices of its own namespace that a pod stands in, by name or by this address. Others'
    /// have no say in how it is called: anybody may write a slice with any address.
    pub(crate) fn slices_with<'w>(
        &'w self,
        pod: &'w Name,
        address: IpAddr,
    ) -> impl Iterator<Item = &'w SliceFacts> + 'w {
        let named = self.slices_by_pod.get(pod).into_iter().flatten();
        let by_address = self.slices_by_address.get(&address).into_iter().flatten();
        let by_address = by_address
            .filter(|(namespace, _)| *namespace == pod.0)
            .map(|(_, slice)| slice);
        named
            .chain(by_address)
            .filter_map(|slice| self.slices.get(&(pod.0.clone(), slice.clone())))
    }

    /// The shards that an endpoint of a slice of `namespace` is in: its pod's addresses.
    fn shards_of_endpoint(&self, namespace: &str, endpoint: &EndpointFacts) -> BTreeSet<u8> {
        let Some(pod) = &endpoint.pod else {
            return [AddressesDocument::shard_of(endpoint.address)].into();
        };
        let pod = self.pods.get(&(namespace.to_owned(), pod.clone()));
        shards_of_pod(pod).collect()
    }

    /// The slices of a Service, by name.
    pub(crate) fn slices<'w>(
        &'w self,
        service: &'w Name,
    ) -> impl Iterator<Item = &'w SliceFacts> + 'w {
        self.slices_of
            .get(service)
            .into_iter()
            .flatten()
            .filter_map(|slice| self.slices.get(&(service.0.clone(), slice.clone())))
    }

    /// The pods of a namespace.
    pub(crate) fn pods_in<'w>(
        &'w self,
        namespace: &str,
    ) -> impl Iterator<Item = (&'w Name, &'w PodFacts)> + use<'w> {
        let namespace = namespace.to_owned();
        self.pods
            .range((namespace.clone(), String::new())..)
            .take_while(move |((of, _), _)| *of == namespace)
    }

    /// The names of the Services of a namespace.
    pub(crate) fn services_in<'w>(
        &'w self,
        namespace: &str,
    ) -> impl Iterator<Item = (&'w Name, &'w ServiceFacts)> + use<'w> {
        let namespace = namespace.to_owned();
        self.services
            .range((namespace.clone(), String::new())..)
            .take_while(move |((of, _), _)| *of == namespace)
    }
}

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

/// Those of its addresses.
fn shards_of_pod(pod: Option<&PodFacts>) -> impl Iterator<Item = u8> + '_ {
    let addresses = pod.into_iter().flat_map(|pod| &pod.ips);
    addresses.map(|address| AddressesDocument::shard_of(*address))
}

fn namespace_of(reference: &ObjectRef) -> String {
    match reference.kind {
        Kind::Namespace => reference.name.clone(),
        _ => reference.namespace.clone(),
    }
}

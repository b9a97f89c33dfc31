//! What runs: Services, EndpointSlices, Pods, Gateways, accounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use weft_engine::documents::AddressesDocument;

use super::{
    accounts::Accounts,
    facts::{EndpointFacts, GatewayFacts, Name, PodFacts, ServiceFacts, SliceFacts},
    index::Index,
};
use crate::object::ObjectRef;

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
    pub(super) known: BTreeSet<ObjectRef>,
    /// Service → the names of its slices.
    pub(crate) slices_of: Index<Name, String>,
    /// ClusterIP → the Services that claim it; more than one only while one replaces another.
    pub(crate) claims: Index<IpAddr, Name>,
    /// Pod → the slices that name it.
    pub(super) slices_by_pod: Index<Name, String>,
    /// Address → the slices that hold it without naming a pod, by `(namespace, slice)`.
    pub(super) slices_by_address: Index<IpAddr, Name>,
    /// Address, after the shard of its document → the pod that has it.
    pub(super) pods_by_address: Index<(u8, IpAddr), Name>,
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
    pub(super) fn shards_of_endpoint(
        &self,
        namespace: &str,
        endpoint: &EndpointFacts,
    ) -> BTreeSet<u8> {
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

/// Those of its addresses.
pub(super) fn shards_of_pod(pod: Option<&PodFacts>) -> impl Iterator<Item = u8> + '_ {
    let addresses = pod.into_iter().flat_map(|pod| &pod.ips);
    addresses.map(|address| AddressesDocument::shard_of(*address))
}

//! `endpoints.<ns>.<name>[.<shard>]`: the addresses behind a service.

use std::collections::{BTreeMap, BTreeSet};

use weft_engine::documents::{Document, DocumentName, Endpoint, EndpointGroup, EndpointsDocument};

use super::{Lowered, plaintext::Plaintext};
use crate::world::{EndpointFacts, Inventory, Name, PodFacts, ServiceFacts, SliceFacts, World};

/// Endpoints of a shard, about: some 250 bytes each, so half of the 1 MiB that a ConfigMap may
/// have. A slice (at most 1000 endpoints) is never split, so that a change of one slice rewrites
/// one shard.
const SHARD: usize = 2_000;

/// How many shards the endpoints of a service take: 1 or more.
pub(crate) fn shards(inventory: &Inventory, service: &Name) -> usize {
    split(inventory, service).len()
}

/// The slices of each shard.
fn split<'w>(inventory: &'w Inventory, service: &'w Name) -> Vec<Vec<&'w SliceFacts>> {
    let mut shards = vec![Vec::new()];
    let mut length = 0;
    for slice in usable(inventory, service) {
        if length > 0 && length + slice.endpoints.len() > SHARD {
            shards.push(Vec::new());
            length = 0;
        }
        length += slice.endpoints.len();
        if let Some(shard) = shards.last_mut() {
            shard.push(slice);
        }
    }
    shards
}

/// A dual-stack service has every pod twice: IPv4 stands for it, else pods would be balanced
/// over twice.
fn usable<'w>(
    inventory: &'w Inventory,
    service: &'w Name,
) -> impl Iterator<Item = &'w SliceFacts> + 'w {
    let ipv4 = inventory.slices(service).any(|slice| !slice.ipv6);
    inventory
        .slices(service)
        .filter(move |slice| slice.ipv6 != ipv4)
}

pub(super) fn lower(world: &World, name: &Name, lowered: &mut Lowered) {
    let Some(service) = world.inventory.services.get(name) else {
        return;
    };
    let labels = subset_labels(world, name);
    let mut plaintext = Plaintext::of(world, &name.0);
    let mut seen = BTreeSet::new();
    for (shard, slices) in (0..).zip(split(&world.inventory, name)) {
        let mut groups = BTreeMap::<BTreeMap<u16, u16>, Vec<Endpoint>>::new();
        for slice in slices {
            let ports = ports(service, slice);
            for endpoint in &slice.endpoints {
                // While a pod moves from one slice to another it stands in both.
                if !seen.insert((endpoint.address, ports.clone())) {
                    continue;
                }
                let pod = world
                    .inventory
                    .pod(&name.0, endpoint.pod.as_deref(), endpoint.address);
                add(
                    world,
                    endpoint,
                    pod,
                    &ports,
                    &labels,
                    &mut plaintext,
                    &mut groups,
                );
            }
        }
        let groups = groups
            .into_iter()
            .map(|(ports, mut endpoints)| {
                endpoints.sort_by_key(|endpoint| endpoint.address);
                EndpointGroup { ports, endpoints }
            })
            .collect();
        lowered.documents.push((
            DocumentName::Endpoints(name.0.clone(), name.1.clone(), shard),
            Document::Endpoints(EndpointsDocument {
                namespace: name.0.clone(),
                name: name.1.clone(),
                shard,
                groups,
            }),
        ));
    }
}

/// Service port → the pod's own port, by the port's name.
pub(super) fn ports(service: &ServiceFacts, slice: &SliceFacts) -> BTreeMap<u16, u16> {
    service
        .ports
        .iter()
        .filter_map(|port| {
            let name = port.name.as_deref().unwrap_or_default();
            Some((port.port, *slice.ports.get(name)?))
        })
        .collect()
}

/// The label keys that subsets of this service are told apart by.
fn subset_labels(world: &World, service: &Name) -> BTreeSet<String> {
    let routes = world.forwarders.get(service).into_iter().flatten();
    routes
        .filter_map(|route| world.routes.get(route)?.facts.as_ref())
        .filter_map(|facts| facts.backends().remove(service))
        .flatten()
        .map(str::to_owned)
        .collect()
}

fn add(
    world: &World,
    facts: &EndpointFacts,
    pod: Option<(&Name, &PodFacts)>,
    ports: &BTreeMap<u16, u16>,
    labels: &BTreeSet<String>,
    plaintext: &mut Plaintext,
    groups: &mut BTreeMap<BTreeMap<u16, u16>, Vec<Endpoint>>,
) {
    let identity = pod.and_then(|(name, pod)| world.identity_of(name, pod));
    let endpoint = Endpoint {
        address: facts.address,
        identity: None,
        zone: facts.zone.as_deref().map(str::to_owned),
        labels: pod
            .into_iter()
            .flat_map(|(_, pod)| pod.labels.iter())
            .filter(|(key, _)| labels.contains(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ready: facts.ready,
    };
    // Ports on which the pod takes only plaintext are a group of their own, without identity.
    let (open, meshed): (BTreeMap<u16, u16>, BTreeMap<u16, u16>) =
        ports.iter().partition(|(_, own)| match (&identity, pod) {
            (Some(_), Some((name, pod))) => plaintext.takes_only(&name.0, pod, **own),
            _ => true,
        });
    let mut push = |ports: BTreeMap<u16, u16>, identity: Option<String>| {
        groups.entry(ports).or_default().push(Endpoint {
            identity,
            ..endpoint.clone()
        });
    };
    if !meshed.is_empty() {
        push(meshed, identity);
    }
    if !open.is_empty() {
        push(open, None);
    }
}

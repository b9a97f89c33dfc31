//! `addresses.<shard>`: pod address → who is there.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
};

use weft_engine::documents::{AddressesDocument, Document, DocumentName, PodAddress, ServiceRef};

use super::{Lowered, endpoints, plaintext::Plaintext};
use crate::world::{Name, World};

/// Every port of a pod.
const EVERY_PORT: &[(u16, u16)] = &[(1, u16::MAX)];

pub(super) fn lower(world: &World, shard: u8, lowered: &mut Lowered) {
    let mut plaintext = BTreeMap::<&str, Plaintext>::new();
    let mut pods = BTreeMap::new();
    for (address, name, pod) in world.inventory.pods_in_shard(shard) {
        let Some(identity) = world.identity_of(name, pod) else {
            continue;
        };
        let plaintext = plaintext
            .entry(&name.0)
            .or_insert_with(|| Plaintext::of(world, &name.0))
            .ranges(&name.0, pod);
        // As good as outside.
        if plaintext == EVERY_PORT {
            continue;
        }
        pods.insert(
            address,
            PodAddress {
                identity,
                ports: ports(world, name, address),
                plaintext,
            },
        );
    }
    if pods.is_empty() {
        return;
    }
    lowered.documents.push((
        DocumentName::Addresses(shard),
        Document::Addresses(AddressesDocument { shard, pods }),
    ));
}

/// The Service port that stands for each of a pod's own ports.
fn ports(world: &World, pod: &Name, address: IpAddr) -> BTreeMap<u16, ServiceRef> {
    // What is compared: a headless Service first, then the first by name, then the lowest port.
    let mut found = BTreeMap::<u16, (bool, &str, u16)>::new();
    for slice in world.inventory.slices_with(pod, address) {
        let service = (pod.0.clone(), slice.service.clone());
        let Some(facts) = world.inventory.services.get(&service) else {
            continue;
        };
        for (port, own) in endpoints::ports(facts, slice) {
            let candidate = (!facts.is_headless(), slice.service.as_str(), port);
            match found.entry(own) {
                Entry::Vacant(entry) => {
                    entry.insert(candidate);
                }
                Entry::Occupied(mut entry) => {
                    if candidate < *entry.get() {
                        entry.insert(candidate);
                    }
                }
            }
        }
    }
    let ports = found.into_iter().map(|(own, (_, service, port))| {
        let service = ServiceRef {
            namespace: pod.0.clone(),
            name: service.to_owned(),
            port,
        };
        (own, service)
    });
    ports.collect()
}

//! A service's documents, put together: the service document and every shard of its endpoints.
//! What is kept is compiled; the documents themselves are let go.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weft_engine::{
    compile::CompiledService,
    documents::{EndpointsDocument, Labels, ServiceDocument},
    identity::SpiffeId,
};

use super::{EndpointView, ServiceView, alike::Alike};

/// Shards of one service that are followed at most.
const MAX_SHARDS: u32 = 1024;

/// Endpoints by service port, ascending, each list by address.
pub(super) type Ports = Arc<[(u16, Arc<[EndpointView]>)]>;

/// What is known of a service so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// `None`: not heard of yet.
    service: Option<Service>,
    /// By shard. `None`: not heard of yet; one that is absent is empty.
    shards: Vec<Option<Ports>>,
}

#[derive(Debug)]
struct Service {
    namespace: Arc<str>,
    name: Arc<str>,
    cluster_ips: Arc<[IpAddr]>,
    /// Compiled once per service document, not per endpoint change.
    compiled: Arc<CompiledService>,
    shards: u32,
}

impl Assembly {
    /// The service document came. Gives how many shards of endpoints it announces.
    pub(super) fn set_service(
        &mut self,
        document: &ServiceDocument,
        compiled: CompiledService,
    ) -> u32 {
        let shards = document.endpoint_shards.clamp(1, MAX_SHARDS);
        self.service = Some(Service {
            namespace: document.namespace.as_str().into(),
            name: document.name.as_str().into(),
            cluster_ips: document.cluster_ips.as_slice().into(),
            compiled: Arc::new(compiled),
            shards,
        });
        self.shards.truncate(shards as usize);
        self.shards.shrink_to_fit();
        shards
    }

    /// The service document went.
    pub(super) fn withdraw_service(&mut self) {
        self.service = None;
    }

    /// How many shards are known to be announced; one, while nothing is.
    pub(super) fn shard_count(&self) -> u32 {
        self.service.as_ref().map_or(1, |service| service.shards)
    }

    /// A shard's document came.
    pub(super) fn set_shard(&mut self, document: &EndpointsDocument, labels: &mut Alike<Labels>) {
        self.put(document.shard, ports(document, labels));
    }

    /// A shard is absent, and counts as heard of.
    pub(super) fn withdraw_shard(&mut self, shard: u32) {
        self.put(shard, Arc::default());
    }

    fn put(&mut self, shard: u32, ports: Ports) {
        if shard >= self.shard_count() {
            return;
        }
        let at = shard as usize;
        if self.shards.len() <= at {
            self.shards.reserve_exact(at + 1 - self.shards.len());
            self.shards.resize(at + 1, None);
        }
        if let Some(slot) = self.shards.get_mut(at) {
            *slot = Some(ports);
        }
    }

    /// The view, once everything has been heard of.
    pub(super) fn view(&self, generation: u64) -> Option<ServiceView> {
        let service = self.service.as_ref()?;
        let heard: Vec<&Ports> = self.shards.iter().flatten().collect();
        if heard.len() < service.shards as usize {
            return None;
        }
        Some(ServiceView {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            cluster_ips: service.cluster_ips.clone(),
            compiled: service.compiled.clone(),
            endpoints: match heard.as_slice() {
                [only] => Arc::clone(only),
                shards => merge(shards),
            },
            generation,
        })
    }
}

fn merge(shards: &[&Ports]) -> Ports {
    let mut by_port: BTreeMap<u16, Vec<EndpointView>> = BTreeMap::new();
    for (port, endpoints) in shards.iter().flat_map(|shard| shard.iter()) {
        let all = by_port.entry(*port).or_default();
        all.extend(endpoints.iter().cloned());
    }
    sorted(by_port)
}

fn sorted(by_port: BTreeMap<u16, Vec<EndpointView>>) -> Ports {
    by_port
        .into_iter()
        .map(|(port, mut endpoints)| {
            endpoints.sort_by_key(|endpoint| endpoint.address);
            endpoints.dedup_by_key(|endpoint| endpoint.address);
            (port, endpoints.into())
        })
        .collect()
}

fn ports(document: &EndpointsDocument, label_sets: &mut Alike<Labels>) -> Ports {
    let mut by_port: BTreeMap<u16, Vec<EndpointView>> = BTreeMap::new();
    // Identities and zones repeat over a service's endpoints, label sets over all services': one
    // copy of each.
    let mut identities: BTreeMap<&str, Option<Arc<SpiffeId>>> = BTreeMap::new();
    let mut zones: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    for group in &document.groups {
        for endpoint in &group.endpoints {
            let identity = match endpoint.identity.as_deref() {
                None => None,
                Some(text) => {
                    let parsed = identities
                        .entry(text)
                        .or_insert_with(|| text.parse().ok().map(Arc::new));
                    if parsed.is_none() {
                        // Calling it in plaintext instead would drop the protection that the
                        // document asks for.
                        tracing::error!(address = %endpoint.address, identity = text, "endpoint left out: its identity is not a SPIFFE ID");
                        continue;
                    }
                    parsed.clone()
                }
            };
            let labels = label_sets.one(&endpoint.labels);
            let zone = endpoint.zone.as_deref();
            let zone = zone.map(|zone| zones.entry(zone).or_insert_with(|| zone.into()).clone());
            for (port, target) in &group.ports {
                by_port.entry(*port).or_default().push(EndpointView {
                    address: SocketAddr::new(endpoint.address, *target),
                    identity: identity.clone(),
                    zone: zone.clone(),
                    labels: labels.clone(),
                    ready: endpoint.ready,
                });
            }
        }
    }
    sorted(by_port)
}

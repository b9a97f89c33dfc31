//! A service's documents, put together: the service document and every shard of its endpoints.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use weft_engine::{
    compile::CompiledService,
    documents::{EndpointsDocument, ServiceDocument},
    identity::SpiffeId,
};

use super::{EndpointView, ServiceView};

/// What is known of a service so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// `None`: not heard of yet.
    pub(super) service: Option<Arc<ServiceDocument>>,
    /// Compiled once per service document, not per endpoint change.
    pub(super) compiled: Option<Arc<CompiledService>>,
    /// By shard; an absent shard counts as heard of, and empty.
    pub(super) shards: BTreeMap<u32, EndpointsDocument>,
}

impl Assembly {
    /// How many shards the service document announces.
    pub(super) fn shard_count(&self) -> u32 {
        let announced = self.service.as_ref().map_or(1, |s| s.endpoint_shards);
        announced.clamp(1, 1024)
    }

    /// The view, once everything has been heard of.
    pub(super) fn view(&self, generation: u64) -> Option<ServiceView> {
        let service = self.service.clone()?;
        let compiled = self.compiled.clone()?;
        let count = self.shard_count();
        if (0..count).any(|shard| !self.shards.contains_key(&shard)) {
            return None;
        }
        let shards = self.shards.range(..count).map(|(_, document)| document);
        Some(ServiceView::new(
            service,
            compiled,
            merge(shards),
            generation,
        ))
    }
}

fn merge<'d>(
    shards: impl Iterator<Item = &'d EndpointsDocument>,
) -> BTreeMap<u16, Arc<[EndpointView]>> {
    let mut by_port: BTreeMap<u16, Vec<EndpointView>> = BTreeMap::new();
    // Identities and label sets repeat over a service's endpoints: one copy of each.
    let mut identities: BTreeMap<&str, Option<Arc<SpiffeId>>> = BTreeMap::new();
    let mut label_sets: BTreeMap<&BTreeMap<String, String>, Arc<BTreeMap<String, String>>> =
        BTreeMap::new();
    for group in shards.flat_map(|document| &document.groups) {
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
            let labels = label_sets
                .entry(&endpoint.labels)
                .or_insert_with(|| Arc::new(endpoint.labels.clone()))
                .clone();
            for (port, target) in &group.ports {
                by_port.entry(*port).or_default().push(EndpointView {
                    address: SocketAddr::new(endpoint.address, *target),
                    identity: identity.clone(),
                    zone: endpoint.zone.as_deref().map(Arc::from),
                    labels: labels.clone(),
                    ready: endpoint.ready,
                });
            }
        }
    }
    by_port
        .into_iter()
        .map(|(port, mut endpoints)| {
            endpoints.sort_by_key(|endpoint| endpoint.address);
            endpoints.dedup_by_key(|endpoint| endpoint.address);
            (port, endpoints.into())
        })
        .collect()
}

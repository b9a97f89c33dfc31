//! `index.<shard>`: ClusterIP → service.

use weft_engine::documents::{Document, DocumentName, IndexDocument, ServiceRef};

use super::Lowered;
use crate::world::World;

pub(super) fn lower(world: &World, shard: u8, lowered: &mut Lowered) {
    let services = world
        .inventory
        .claims
        .iter()
        .filter(|(address, _)| IndexDocument::shard_of(**address) == shard)
        .filter_map(|(address, claims)| {
            // Two claim it only while one replaces the other; the first is as good as any, and
            // the same every time.
            let (namespace, name) = claims.first()?;
            let service = ServiceRef {
                namespace: namespace.clone(),
                name: name.clone(),
                port: 0,
            };
            Some((*address, service))
        })
        .collect();
    lowered.documents.push((
        DocumentName::Index(shard),
        Document::Index(IndexDocument { shard, services }),
    ));
}

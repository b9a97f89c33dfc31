//! `mesh`: what every proxy needs before anything else.

use weft_engine::documents::{Document, DocumentName, MeshDocument};

use super::{Lowered, client_policy, inbound, mtls};
use crate::world::{Target, World};

pub(super) fn lower(world: &World, lowered: &mut Lowered) {
    let settings = world.settings();
    let document = MeshDocument {
        trust_domain: settings.trust_domain.clone(),
        cluster_domain: settings.cluster_domain.clone(),
        trust_bundle: settings.trust_bundle.clone(),
        client_policy: client_policy::mesh(world, lowered),
        mtls: mtls::mesh(world, Some(lowered)),
        authorization: inbound::authorization(world, [&Target::Mesh], lowered),
        report_to: settings.report_to.clone(),
    };
    lowered
        .documents
        .push((DocumentName::Mesh, Document::Mesh(document)));
}

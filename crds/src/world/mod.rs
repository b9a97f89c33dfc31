//! Every input at one instant, as compact facts, with the indexes that say what a change
//! touches.
//!
//! 10,000 services of 5 endpoints are some tens of megabytes: labels are shared, and of an
//! object only what documents are made from is kept.

mod accounts;
mod excerpt;
mod facts;
mod index;
mod labels;
mod meaning;
mod read;
mod settings;

mod changed;
mod inventory;
mod outside;
mod own;
mod queries;
mod report;
mod touched;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use weft_engine::{
    documents::{DocumentName, INDEX_SHARDS},
    problem::Problem,
};

pub(crate) use facts::{
    AuthFacts, EndpointFacts, MeshFacts, Name, PodFacts, PortFacts, RouteFacts, ServiceFacts,
    SliceFacts, Target,
};
pub(crate) use inventory::Inventory;
pub use queries::ServiceAccountRef;
pub use settings::Settings;

use crate::{
    object::{Kind, Object, ObjectRef},
    status::AncestorRef,
};
use facts::{Attached, GatewayFacts, Kept};
use index::Index;
use labels::LabelStore;

/// What is lowered on its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// `mesh`
    Mesh,
    /// `index.<shard>`
    Index(u8),
    /// `addresses.<shard>`
    Addresses(u8),
    /// `inbound.<ns>`
    Inbound(String),
    /// `service.<ns>.<name>`
    Service(String, String),
    /// `endpoints.<ns>.<name>` and its further shards
    Endpoints(String, String),
    /// `gateway.<ns>.<name>`
    Gateway(String, String),
}

impl From<&DocumentName> for Key {
    /// The key that a document comes from.
    fn from(name: &DocumentName) -> Self {
        match name.clone() {
            DocumentName::Mesh => Self::Mesh,
            DocumentName::Index(shard) => Self::Index(shard),
            DocumentName::Addresses(shard) => Self::Addresses(shard),
            DocumentName::Inbound(namespace) => Self::Inbound(namespace),
            DocumentName::Service(namespace, name) => Self::Service(namespace, name),
            DocumentName::Endpoints(namespace, name, _) => Self::Endpoints(namespace, name),
            DocumentName::Gateway(namespace, name) => Self::Gateway(namespace, name),
        }
    }
}

/// What the World knows of one VirtualRoute, MeshPolicy or AuthPolicy, apart from what lowering
/// its keys finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The newest generation that was seen, good or refused.
    pub generation: i64,
    /// Why it was refused, and targets that were not found.
    pub problems: Vec<Problem>,
    /// Its targets, and whether each was found.
    pub targets: Vec<(AncestorRef, bool)>,
}

/// Every input at one instant.
#[derive(Clone, Debug)]
pub struct World {
    settings: Settings,
    dirty: BTreeSet<Key>,
    labels: LabelStore,
    pub(crate) inventory: Inventory,
    pub(crate) routes: BTreeMap<Name, Kept<RouteFacts>>,
    pub(crate) mesh_policies: BTreeMap<Name, Kept<MeshFacts>>,
    pub(crate) auth_policies: BTreeMap<Name, Kept<AuthFacts>>,
    /// Who speaks for a target, found or not.
    attached: Index<Target, Attached>,
    /// The routes that forward to a Service.
    pub(crate) forwarders: Index<Name, Name>,
}

impl World {
    /// A World without objects. The mesh document and the index shards are dirty: they exist
    /// from the first day.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            dirty: (0..INDEX_SHARDS)
                .map(Key::Index)
                .chain([Key::Mesh])
                .collect(),
            labels: LabelStore::default(),
            inventory: Inventory::default(),
            routes: BTreeMap::new(),
            mesh_policies: BTreeMap::new(),
            auth_policies: BTreeMap::new(),
            attached: BTreeMap::new(),
            forwarders: BTreeMap::new(),
        }
    }

    /// What the mesh is called and trusts.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes an object, new or changed. An unchanged one dirties nothing. One that is refused
    /// keeps its last good meaning; one that never had any fails closed, as its type says.
    pub fn apply(&mut self, object: Object) {
        let reference = object.reference();
        let name = (reference.namespace.clone(), reference.name.clone());
        match &object {
            Object::Namespace(_) => {}
            Object::ServiceAccount(object) => {
                let uid = object.metadata.uid.clone();
                self.inventory.accounts.put(&name, Some(uid));
            }
            Object::Service(object) => {
                let facts = read::service(object, &mut self.labels);
                self.put_service(&name, facts);
            }
            Object::EndpointSlice(object) => self.put_slice(&name, read::slice(object)),
            Object::Pod(object) => {
                let facts = read::pod(object, &mut self.labels);
                self.put_pod(&name, Some(facts));
            }
            Object::Gateway(object) => {
                let ours = object.spec.gateway_class_name == "weft";
                let facts = ours.then(|| GatewayFacts {
                    generation: object.metadata.generation.unwrap_or_default(),
                    listeners: object.spec.listeners.clone(),
                });
                self.put_gateway(&name, facts);
            }
            Object::VirtualRoute(_)
            | Object::MeshPolicy(_)
            | Object::AuthPolicy(_)
            | Object::Invalid(_) => self.put_own(&reference, &object),
        }
        self.know(&reference);
    }

    /// Forgets an object.
    pub fn remove(&mut self, reference: &ObjectRef) {
        let name = (reference.namespace.clone(), reference.name.clone());
        match reference.kind {
            Kind::Namespace => {}
            Kind::ServiceAccount => self.inventory.accounts.put(&name, None),
            Kind::Service => self.put_service(&name, None),
            Kind::EndpointSlice => self.put_slice(&name, None),
            Kind::Pod => self.put_pod(&name, None),
            Kind::Gateway => self.put_gateway(&name, None),
            Kind::VirtualRoute | Kind::MeshPolicy | Kind::AuthPolicy => {
                self.remove_own(reference);
            }
        }
        self.forget(reference);
    }

    /// Changes the trusted roots.
    pub fn set_trust_bundle(&mut self, pem: String) {
        if self.settings.trust_bundle != pem {
            self.settings.trust_bundle = pem;
            self.dirty.insert(Key::Mesh);
        }
    }

    /// How many objects it knows, of every kind.
    pub fn count(&self) -> usize {
        self.inventory.count()
    }

    /// The keys whose documents, or whose objects' status, may have changed since the last call.
    pub fn take_dirty(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.dirty)
    }
}

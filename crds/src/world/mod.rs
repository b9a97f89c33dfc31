//! Every input at one instant, as compact facts, with the indexes that say what a change
//! touches.

use std::collections::BTreeSet;

use weft_engine::{documents::DocumentName, problem::Problem};

use crate::{
    object::{Object, ObjectRef},
    status::AncestorRef,
};

/// What the mesh is called and trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The SPIFFE trust domain.
    pub trust_domain: String,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// The namespace whose policies may target the whole mesh.
    pub root_namespace: String,
    /// PEM certificates of the trusted roots.
    pub trust_bundle: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            root_namespace: "weft-system".to_owned(),
            trust_bundle: String::new(),
        }
    }
}

/// What is lowered on its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// `mesh`
    Mesh,
    /// `index.<shard>`
    Index(u8),
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
#[derive(Debug)]
pub struct World {
    settings: Settings,
    dirty: BTreeSet<Key>,
}

impl World {
    /// A World without objects. The mesh document and the index shards are dirty.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            dirty: BTreeSet::new(),
        }
    }

    /// What the mesh is called and trusts.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes an object, new or changed. An unchanged one dirties nothing.
    pub fn apply(&mut self, object: Object) {
        let _ = object;
    }

    /// Forgets an object.
    pub fn remove(&mut self, reference: &ObjectRef) {
        let _ = reference;
    }

    /// Changes the trusted roots.
    pub fn set_trust_bundle(&mut self, pem: String) {
        self.settings.trust_bundle = pem;
    }

    /// The keys whose documents may have changed since the last call.
    pub fn take_dirty(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.dirty)
    }

    /// Every key that has documents.
    pub fn keys(&self) -> BTreeSet<Key> {
        BTreeSet::new()
    }

    /// The routes and policies that have a say in a key's documents: their status may change
    /// when the key is lowered.
    pub fn objects_of(&self, key: &Key) -> BTreeSet<ObjectRef> {
        let _ = key;
        BTreeSet::new()
    }

    /// The keys that a route or policy has a say in: what must be published before it is
    /// programmed.
    pub fn keys_of(&self, reference: &ObjectRef) -> BTreeSet<Key> {
        let _ = reference;
        BTreeSet::new()
    }

    /// What is known of a route or policy; `None` when there is no such object.
    pub fn report(&self, reference: &ObjectRef) -> Option<Report> {
        let _ = reference;
        None
    }

    /// Every VirtualRoute, MeshPolicy and AuthPolicy, invalid ones included.
    pub fn objects(&self) -> BTreeSet<ObjectRef> {
        BTreeSet::new()
    }

    /// Every service account that a Pod names or that exists, as (namespace, name): who needs
    /// an identity.
    pub fn service_accounts(&self) -> BTreeSet<(String, String)> {
        BTreeSet::new()
    }
}

//! Pods of the mesh by address: whom a client meets that dials a pod itself.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weft_engine::{
    documents::{AddressesDocument, PodAddress, ServiceRef},
    identity::SpiffeId,
};

/// One shard, ready to look up.
#[derive(Debug, Default)]
pub(super) struct AddressTable(HashMap<IpAddr, Entry>);

#[derive(Debug)]
struct Entry {
    /// `None`: what the document says is no SPIFFE ID.
    identity: Option<Arc<SpiffeId>>,
    /// Service port by the pod's own.
    ports: Box<[(u16, Arc<ServiceRef>)]>,
    /// The rest of what the document says.
    pod: PodAddress,
}

/// What the mesh knows of an address and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// No pod of the mesh, or a port that one takes only plaintext on: it is called as it is.
    Outside,
    /// A pod of the mesh.
    Pod(PodView),
    /// A pod of the mesh whose identity cannot be read. Calling it in plaintext instead would drop
    /// the protection that the document asks for.
    Unreadable,
}

/// A pod of the mesh, at the port that was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodView {
    /// What was dialled.
    pub address: SocketAddr,
    /// What its proxy must prove. An address passes from pod to pod, and what is known of it may
    /// be a moment old: whoever has it now cannot prove this, and gets nothing.
    pub identity: Arc<SpiffeId>,
    /// The Service port that stands for the pod's port, where one does.
    pub service: Option<Arc<ServiceRef>>,
}

impl AddressTable {
    pub(super) fn new(document: AddressesDocument) -> Self {
        // Identities repeat: one copy of each.
        let mut identities = HashMap::<String, Option<Arc<SpiffeId>>>::new();
        let pods = document.pods.into_iter().map(|(address, mut pod)| {
            let text = std::mem::take(&mut pod.identity);
            let identity = identities
                .entry(text)
                .or_insert_with_key(|text| text.parse().ok().map(Arc::new))
                .clone();
            if identity.is_none() {
                tracing::error!(%address, "a pod that cannot be called: its identity is not a SPIFFE ID");
            }
            let ports = std::mem::take(&mut pod.ports).into_iter();
            let entry = Entry {
                identity,
                ports: ports.map(|(own, port)| (own, Arc::new(port))).collect(),
                pod,
            };
            (address, entry)
        });
        Self(pods.collect())
    }

    pub(super) fn at(&self, address: SocketAddr) -> Addressed {
        let Some(entry) = self.0.get(&address.ip()) else {
            return Addressed::Outside;
        };
        if entry.pod.takes_only_plaintext(address.port()) {
            return Addressed::Outside;
        }
        let Some(identity) = &entry.identity else {
            return Addressed::Unreadable;
        };
        let mut ports = entry.ports.iter();
        let service = ports.find(|(own, _)| *own == address.port());
        Addressed::Pod(PodView {
            address,
            identity: identity.clone(),
            service: service.map(|(_, service)| service.clone()),
        })
    }
}

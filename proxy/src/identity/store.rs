//! The active identity, swapped whole on reload.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, sign::SingleCertAndKey,
};
use weft_engine::identity::SpiffeId;

use super::MeshAlpn;

/// Client configurations kept per identity generation; beyond, the table starts anew.
const CLIENT_CONFIGS: usize = 4096;

type ClientConfigs = HashMap<(Arc<SpiffeId>, MeshAlpn), Arc<ClientConfig>>;

/// A certificate with its key and the roots trusted with it.
#[derive(Debug)]
pub struct Identity {
    /// Who we are.
    pub id: Arc<SpiffeId>,
    /// Seconds since 1970 at which the certificate ends.
    pub not_after: i64,
    /// Grows with every reload. Connections of an older generation live on; sessions of an
    /// older generation are not resumed.
    pub generation: u64,
    /// For accepting mesh TLS.
    pub(super) server: Arc<ServerConfig>,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) certified: Arc<SingleCertAndKey>,
    pub(super) clients: Mutex<ClientConfigs>,
}

/// The handle on the active identity. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct IdentityStore {
    active: Arc<ArcSwapOption<Identity>>,
    own_address: Option<IpAddr>,
}

impl IdentityStore {
    /// No identity yet. `own_address`: the pod's, where what comes to it is captured.
    pub fn new(own_address: Option<IpAddr>) -> Self {
        Self {
            own_address,
            ..Self::default()
        }
    }

    /// The address at which this workload is called, where what comes to it is captured.
    pub fn own_address(&self) -> Option<IpAddr> {
        self.own_address
    }

    /// The active identity; `None` while (or where) there is none.
    pub fn active(&self) -> Option<Arc<Identity>> {
        self.active.load_full()
    }

    pub(super) fn replace(&self, identity: Identity) {
        self.active.store(Some(Arc::new(identity)));
    }
}

impl Identity {
    /// For accepting mesh TLS: any workload of the trust domain, and no one else.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// For calling a proxy that must prove to be `peer`, speaking `alpn`. The server name in
    /// the handshake is [`Identity::server_name`] and carries no meaning.
    pub fn client_config(&self, peer: &Arc<SpiffeId>, alpn: MeshAlpn) -> Arc<ClientConfig> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENT_CONFIGS {
            clients.clear();
        }
        clients
            .entry((peer.clone(), alpn))
            .or_insert_with(|| Arc::new(self.build_client(peer.clone(), alpn)))
            .clone()
    }
}

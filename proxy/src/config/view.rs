//! What the request path reads: compiled, merged, immutable.

use std::{collections::BTreeMap, fmt, net::IpAddr, net::SocketAddr, sync::Arc};

use weft_engine::{
    compile::{CompiledGateway, CompiledListener, CompiledService},
    documents::Labels,
    identity::SpiffeId,
};

use super::assembly::Ports;

/// A service with the endpoints of all its shards.
#[derive(Debug)]
pub struct ServiceView {
    /// The Service's namespace.
    pub namespace: Arc<str>,
    /// The Service's name.
    pub name: Arc<str>,
    pub(super) cluster_ips: Arc<[IpAddr]>,
    /// Routes and policies, resolved for this proxy's namespace.
    pub compiled: Arc<CompiledService>,
    /// Endpoints by service port, ascending.
    pub(super) endpoints: Ports,
    /// Grows with every swap of any view; equal generations mean the same view.
    pub generation: u64,
}

/// An endpoint of one service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// Pod address and target port.
    pub address: SocketAddr,
    /// What its proxy must prove; `None`: it is called in plaintext.
    pub identity: Option<Arc<SpiffeId>>,
    /// Its zone.
    pub zone: Option<Arc<str>>,
    /// Labels that subsets name.
    pub labels: Labels,
    /// Whether it takes new traffic.
    pub ready: bool,
}

impl ServiceView {
    /// The endpoints of a service port, ready or not, by address. Shared: a pool may keep it.
    pub fn endpoints(&self, port: u16) -> Arc<[EndpointView]> {
        let found = self.endpoints.iter().find(|(known, _)| *known == port);
        found.map(|(_, all)| all.clone()).unwrap_or_default()
    }

    /// Every port with its endpoints, ascending.
    pub fn endpoints_by_port(&self) -> impl Iterator<Item = (u16, &Arc<[EndpointView]>)> {
        self.endpoints
            .iter()
            .map(|(port, endpoints)| (*port, endpoints))
    }

    /// Its ClusterIPs.
    pub fn cluster_ips(&self) -> &[IpAddr] {
        &self.cluster_ips
    }
}

impl fmt::Display for ServiceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A gateway with its listeners by name.
#[derive(Debug)]
pub struct GatewayView {
    /// The Gateway's namespace.
    pub namespace: Arc<str>,
    /// The Gateway's name.
    pub name: Arc<str>,
    /// Routes and policies.
    pub compiled: CompiledGateway,
    /// Name → position in `compiled.listeners`.
    pub(crate) listeners: BTreeMap<String, usize>,
    /// As for a service.
    pub generation: u64,
}

impl GatewayView {
    /// The listener of this name.
    pub fn listener(&self, name: &str) -> Option<&CompiledListener> {
        self.compiled.listeners.get(*self.listeners.get(name)?)
    }
}

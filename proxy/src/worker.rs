//! What one core owns. A worker is an `Rc`: nothing in it is shared with another core but the
//! handles below, which are swapped whole (config, identity) or summed at scrape (metrics).

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use weft_engine::identity::Workload;

use crate::{
    bootstrap::Bootstrap,
    config::ConfigStore,
    drain::Drain,
    identity::{IdentityStore, ServingCertificates},
    observe::{AccessLog, Recorder},
    upstream::Upstreams,
};

/// One core's state.
#[derive(Debug)]
pub struct Worker {
    /// 0 to workers − 1.
    pub id: usize,
    /// The command line.
    pub bootstrap: Arc<Bootstrap>,
    /// The workload's namespace, to be kept by whatever is told of its requests.
    pub namespace: Arc<str>,
    /// The workload beside which this proxy stands: what `source` matches see of its calls.
    pub workload: Workload,
    /// Services, inbound policies, gateways.
    pub config: ConfigStore,
    /// Certificates.
    pub identity: IdentityStore,
    /// What a gateway's listeners show to clients outside the mesh.
    pub certificates: ServingCertificates,
    /// This core's metrics.
    pub metrics: Recorder,
    /// The access log.
    pub access_log: AccessLog,
    /// Whether the process is ending.
    pub drain: Drain,
    /// This core's pools and endpoint state.
    pub upstreams: Upstreams,
}

impl Worker {
    /// Puts a worker together.
    pub fn new(
        id: usize,
        bootstrap: Arc<Bootstrap>,
        config: ConfigStore,
        (identity, certificates): (IdentityStore, ServingCertificates),
        metrics: Recorder,
        access_log: AccessLog,
        drain: Drain,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            namespace: bootstrap.namespace.as_str().into(),
            workload: bootstrap.workload(),
            bootstrap,
            config,
            identity,
            certificates,
            metrics,
            access_log,
            drain,
            upstreams: Upstreams::default(),
        })
    }

    /// The pod's own port as logs show it: `namespace/service:port` of the Service that declares
    /// it, or where the application listens.
    pub fn inbound_destination(&self, port: u16, address: SocketAddr) -> String {
        let inbound = self.config.inbound();
        match inbound.as_ref().and_then(|inbound| inbound.service(port)) {
            Some(service) => format!("{}/{service}:{port}", self.namespace),
            None => format!("{address} (port {port})"),
        }
    }
}

//! TCP connections for the TCP proxy.

use std::{collections::BTreeMap, net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use weft_engine::{documents::LoadBalancing, identity::SpiffeId};

use super::{
    Cluster, Endpoint, Outstanding, UpstreamError, UpstreamStream,
    outlier::Outcome,
    pool::{ConnectionPermit, Wire, dial},
};
use crate::worker::Worker;

/// Endpoints that are tried for one connection: nothing was sent to the first, so another may be
/// asked.
const TRIES: usize = 2;

/// A TCP connection to a chosen endpoint. Dropping it tells the balancer that it ended.
#[derive(Debug)]
pub struct TcpUpstream {
    /// The bytes.
    pub stream: UpstreamStream,
    /// The endpoint.
    pub endpoint: SocketAddr,
    /// The identity that it proved; `None` in plaintext.
    pub identity: Option<Arc<SpiffeId>>,
    _outstanding: Outstanding,
    _permit: ConnectionPermit,
}

/// Connects to an endpoint of `cluster` for one TCP connection: balanced (least connections
/// unless the policy says otherwise), within the pool's bounds and its connect time-out, over
/// mesh TLS where the endpoint has an identity. `labels` narrow the choice to a subset.
/// An endpoint that cannot be reached is passed over once.
pub async fn connect_tcp(
    worker: &Rc<Worker>,
    cluster: &Rc<Cluster>,
    labels: &BTreeMap<String, String>,
) -> Result<TcpUpstream, UpstreamError> {
    let policy = cluster.policy();
    let mut tried: Vec<Rc<Endpoint>> = Vec::new();
    let mut failure = None;
    while tried.len() < TRIES {
        let now = Instant::now();
        let picked = cluster.pick(LoadBalancing::LeastRequest, labels, &tried, now);
        let Some(endpoint) = picked.filter(|endpoint| {
            // The only endpoint is not worth a second try at once.
            !tried.iter().any(|used| Rc::ptr_eq(used, endpoint))
        }) else {
            break;
        };
        let Some(permit) = cluster.bounds.open_connection() else {
            cluster.metrics.overflow("max_connections");
            return Err(UpstreamError::Overflow("maxConnections"));
        };
        let outstanding = endpoint.begin();
        let key = endpoint.key.clone();
        let dialled = dial(
            &worker.identity,
            key.address,
            key.identity.as_ref(),
            Wire::Tcp,
            &policy.connection_pool,
        )
        .await;
        cluster.metrics.connected(dialled.as_ref().err());
        let ended = Instant::now();
        match dialled {
            Ok(stream) => {
                cluster.observe(&endpoint, Outcome::Success, ended - now, ended);
                return Ok(TcpUpstream {
                    stream,
                    endpoint: key.address,
                    identity: key.identity,
                    _outstanding: outstanding,
                    _permit: permit,
                });
            }
            Err(error) => {
                cluster.observe(&endpoint, Outcome::GatewayError, ended - now, ended);
                tried.push(endpoint);
                failure = Some(error);
            }
        }
    }
    Err(failure.map_or_else(
        || {
            UpstreamError::NoEndpoint(format!(
                "{}/{}:{}",
                cluster.namespace, cluster.service, cluster.port
            ))
        },
        UpstreamError::Dial,
    ))
}

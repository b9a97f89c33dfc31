//! TCP connections for the TCP proxy.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use weft_engine::{
    documents::{Labels, LoadBalancing},
    identity::SpiffeId,
};

use super::{
    Attempts, Cluster, Endpoint, Outstanding, UpstreamError, UpstreamStream,
    attempts::HASTY_ATTEMPTS,
    outlier::Outcome,
    pool::{ConnectionPermit, DialError, Wire, dial},
};
use crate::worker::Worker;

/// A TCP connection to a chosen endpoint. Dropping it tells the balancer that it ended.
#[derive(Debug)]
pub struct TcpUpstream {
    /// The bytes.
    pub stream: UpstreamStream,
    /// The endpoint.
    pub endpoint: SocketAddr,
    /// The identity that it proved; `None` in plaintext.
    pub identity: Option<Arc<SpiffeId>>,
    /// Endpoints that were asked for it, this one included; the same one may count twice.
    pub attempts: u32,
    _outstanding: Outstanding,
    _permit: ConnectionPermit,
}

/// Connects to an endpoint of `cluster` for one TCP connection: balanced (least connections
/// unless the policy says otherwise), within the pool's bounds and its connect time-out, over
/// mesh TLS where the endpoint has an identity. `labels` narrow the choice to a subset.
/// Nothing of the client is sent until the endpoint's application is there, so others are tried
/// where it is not: a few, under the retry budget.
pub async fn connect_tcp(
    worker: &Rc<Worker>,
    cluster: &Rc<Cluster>,
    labels: Option<&Labels>,
) -> Result<TcpUpstream, UpstreamError> {
    let mut tried: Vec<Rc<Endpoint>> = Vec::new();
    let mut attempts = Attempts::default();
    let mut made = 0;
    cluster.begin_request(Instant::now());
    loop {
        let now = Instant::now();
        let picked = cluster.pick(LoadBalancing::LeastRequest, labels, &tried, now);
        let Some(endpoint) = picked else {
            return Err(UpstreamError::NoEndpoint(format!(
                "{}/{}:{}",
                cluster.namespace, cluster.service, cluster.port
            )));
        };
        made += 1;
        let in_haste = made <= HASTY_ATTEMPTS && cluster.has_another(&endpoint, now);
        let connected = connect(worker, cluster, &endpoint, now, in_haste).await;
        if made > 1 {
            let is_ok = connected.is_ok();
            cluster
                .metrics
                .retried("", if is_ok { "success" } else { "failure" });
        }
        let error = match connected {
            Err(UpstreamError::Dial(error)) if !matches!(error, DialError::Denied(_)) => error,
            decided => {
                return decided.map(|upstream| TcpUpstream {
                    attempts: made,
                    ..upstream
                });
            }
        };
        tracing::debug!(%error, "no connection came about");
        let is_slow = matches!(error, DialError::Timeout(..));
        let Some(pause) = attempts.again(is_slow) else {
            return Err(error.into());
        };
        if !cluster.withdraw_retry(Instant::now()) {
            cluster.metrics.retried("", "budget_exhausted");
            return Err(error.into());
        }
        if !tried.iter().any(|used| Rc::ptr_eq(used, &endpoint)) {
            tried.push(endpoint);
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        cluster.catch_up(&worker.config);
    }
}

async fn connect(
    worker: &Rc<Worker>,
    cluster: &Rc<Cluster>,
    endpoint: &Rc<Endpoint>,
    began: Instant,
    in_haste: bool,
) -> Result<TcpUpstream, UpstreamError> {
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
        &cluster.policy().connection_pool,
        in_haste,
    )
    .await;
    cluster.metrics.connected(dialled.as_ref().err());
    let ended = Instant::now();
    let outcome = match &dialled {
        Ok(_) => {
            endpoint.takes();
            Some(Outcome::Success)
        }
        // Neither says anything about its conduct.
        Err(DialError::Denied(_)) => None,
        Err(DialError::NotTaken(_)) => {
            endpoint.pass_over(ended);
            None
        }
        Err(_) => {
            endpoint.pass_over(ended);
            Some(Outcome::GatewayError)
        }
    };
    if let Some(outcome) = outcome {
        cluster.observe(endpoint, outcome, ended - began, ended);
    }
    Ok(TcpUpstream {
        stream: dialled?,
        endpoint: key.address,
        identity: key.identity,
        attempts: 1,
        _outstanding: outstanding,
        _permit: permit,
    })
}

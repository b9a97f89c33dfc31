use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::certificate;
use crate::serve::ListenError;

/// Connections at a time. A proxy closes its own a few seconds after its last news.
const CONNECTIONS: usize = 2_048;

/// Connections from one address: a node's worth of pods behind its NAT.
const PER_ADDRESS: usize = 256;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long a connection may be silent between two reports.
const IDLE: Duration = Duration::from_secs(20);

/// How long a connection lives, at most: afterwards the identity is proven anew.
const LIFE: Duration = Duration::from_secs(600);

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Serves `router` to workloads of the mesh, until `stop` is cancelled.
pub(super) async fn serve(
    address: SocketAddr,
    router: Router,
    config: Arc<ArcSwapOption<ServerConfig>>,
    trust_domain: String,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()>, ListenError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::new("reports", address, source))?;
    let trust_domain: Arc<str> = trust_domain.into();
    Ok(async move {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let counts = Counts::default();
        let mut connections = JoinSet::new();
        loop {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = slots.clone().acquire_owned() => slot,
                // What has ended makes room.
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "the listener for reports failed once");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let (Some(place), Some(config)) = (Place::take(&counts, peer.ip()), config.load_full())
            else {
                continue;
            };
            let connection = handle(stream, config, router.clone(), trust_domain.clone());
            let stop = stop.clone();
            connections.spawn(async move {
                tokio::select! {
                    // Nothing is lost: what was not answered is told again.
                    () = stop.cancelled() => {}
                    _ = timeout(LIFE, connection) => {}
                }
                drop((slot, place));
            });
        }
        connections.shutdown().await;
    })
}

async fn handle(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    router: Router,
    trust_domain: Arc<str>,
) {
    let accepted = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await;
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no mesh TLS with who wanted to report");
            return;
        }
        Err(_) => return,
    };
    let chain = stream.get_ref().1.peer_certificates();
    let Some(account) = certificate::account(chain, &trust_domain) else {
        tracing::debug!("who wanted to report is no workload of this mesh");
        return;
    };
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    let service = TowerToHyperService::new(router.layer(Extension(account)));
    if let Err(error) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a connection for reports ended");
    }
}

/// One connection of those that an address may have.
struct Place {
    counts: Counts,
    address: IpAddr,
}

impl Place {
    fn take(counts: &Counts, address: IpAddr) -> Option<Self> {
        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Self {
            counts: counts.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

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
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::certificate;
use crate::{accept::Bounds, serve::ListenError};

/// A proxy closes its own connection a few seconds after its last news. Nothing is lost with one
/// that is cut off: what was not answered is told again.
const BOUNDS: Bounds = Bounds {
    what: "reports",
    connections: 2_048,
    handshake: Duration::from_secs(5),
    linger: Duration::ZERO,
};

/// Connections from one address: a node's worth of pods behind its NAT.
const PER_ADDRESS: usize = 256;

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
    let counts = Counts::default();
    let connection = move |stream, peer: SocketAddr| {
        let place = Place::take(&counts, peer.ip())?;
        let connection = handle(
            stream,
            config.load_full()?,
            router.clone(),
            trust_domain.clone(),
        );
        Some(async move {
            let _place = place;
            let _ = timeout(LIFE, connection).await;
        })
    };
    Ok(BOUNDS.accept(listener, stop, connection))
}

async fn handle(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    router: Router,
    trust_domain: Arc<str>,
) {
    let Some(stream) = BOUNDS.handshake(stream, config).await else {
        return;
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

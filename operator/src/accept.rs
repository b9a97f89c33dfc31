//! The accept loop of what is served over TLS: bounded, and drained.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// The pause after a failed accept: out of descriptors, every further attempt fails at once.
const BACKOFF: Duration = Duration::from_millis(20);

/// What one listener may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// What is served, as the log says it.
    pub(crate) what: &'static str,
    /// Connections at a time; further ones wait in the kernel's queue.
    pub(crate) connections: usize,
    /// How long a handshake may take.
    pub(crate) handshake: Duration,
    /// How long connections may take to end after `stop`; then they are cut off.
    pub(crate) linger: Duration,
}

impl Bounds {
    /// Accepts until `stop` is cancelled, and runs what `serve` makes of each connection; `None`:
    /// it is closed.
    pub(crate) async fn accept<F>(
        self,
        listener: TcpListener,
        stop: CancellationToken,
        serve: impl Fn(TcpStream, SocketAddr) -> Option<F>,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.connections));
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
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(connection) = serve(stream, peer) {
                        connections.spawn(async move {
                            connection.await;
                            drop(slot);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(what = self.what, %error, "a listener failed once");
                    tokio::time::sleep(BACKOFF).await;
                }
            }
        }
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(self.linger, ended).await.is_err() {
            tracing::debug!(what = self.what, "connections were cut off");
        }
    }

    /// Shakes hands within the bound; `None`, and a line in the log, where that fails.
    pub(crate) async fn handshake(
        self,
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Option<TlsStream<TcpStream>> {
        let accepted = timeout(self.handshake, TlsAcceptor::from(config).accept(stream)).await;
        match accepted {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(what = self.what, %error, "no TLS with who connected");
                None
            }
            Err(_) => None,
        }
    }
}

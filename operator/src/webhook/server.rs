use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Serving;
use crate::{accept::Bounds, serve::ListenError};

/// How long a handshake, and each request's head, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// An API server keeps a few connections. Requests that are under way are answered.
const BOUNDS: Bounds = Bounds {
    what: "webhooks",
    connections: 256,
    handshake: PATIENCE,
    linger: Duration::from_secs(5),
};

/// Serves `router` over TLS with the certificate of the moment, until `stop` is cancelled.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    serving: Serving,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()>, ListenError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::new("webhook", address, source))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ListenError::new("webhook", address, std::io::Error::other(error)))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(serving));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let until = stop.clone();
    let connection = move |stream, _| {
        let (config, router) = (config.clone(), router.clone());
        Some(handle(stream, config, router, until.clone()))
    };
    Ok(BOUNDS.accept(listener, stop, connection))
}

async fn handle(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    router: Router,
    stop: CancellationToken,
) {
    let Some(stream) = BOUNDS.handshake(stream, config).await else {
        return;
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(PATIENCE);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a webhook connection ended");
    }
}

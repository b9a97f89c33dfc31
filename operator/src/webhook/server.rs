use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
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

use super::Serving;
use crate::serve::ListenError;

/// Connections at a time. An API server keeps a few.
const CONNECTIONS: usize = 256;

/// How long a handshake, and each request's head, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long requests that are under way may take after `stop`.
const LINGER: Duration = Duration::from_secs(5);

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
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Ok(accept(listener, acceptor, router, stop))
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
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
            Ok((stream, _)) => {
                let connection = handle(stream, acceptor.clone(), router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the webhooks' listener failed once");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(LINGER, ended).await.is_err() {
        tracing::warn!("webhook requests were cut off");
    }
}

async fn handle(stream: TcpStream, acceptor: TlsAcceptor, router: Router, stop: CancellationToken) {
    let stream = match timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS with who called the webhooks");
            return;
        }
        Err(_) => return,
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

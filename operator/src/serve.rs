use std::net::SocketAddr;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What the endpoints answer from.
#[derive(Clone)]
struct Answers {
    metrics: Metrics,
    ready: [watch::Receiver<bool>; 2],
}

/// The address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; is the port taken? choose another with --{flag}")]
pub struct ListenError {
    flag: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

impl ListenError {
    /// `flag` is the one that chose the address.
    pub fn new(flag: &'static str, address: SocketAddr, source: std::io::Error) -> Self {
        Self {
            flag,
            address,
            source,
        }
    }
}

/// Serves `/metrics`, `/healthz` (the process turns) and `/readyz` (all of `ready`: the caches are
/// complete and a leader has written what they say; the webhooks have their certificate) until
/// `stop` is cancelled.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    ready: [watch::Receiver<bool>; 2],
    stop: CancellationToken,
) -> Result<impl Future<Output = ()>, ListenError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::new("metrics", address, source))?;
    let router = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .with_state(Answers { metrics, ready });
    Ok(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the metrics endpoint ended");
        }
    })
}

async fn scrape(State(answers): State<Answers>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], answers.metrics.encode())
}

async fn readiness(State(answers): State<Answers>) -> impl IntoResponse {
    if answers.ready.iter().all(|ready| *ready.borrow()) {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the first lists are not complete, or what they say is not written yet, \
             or the webhooks have no certificate\n",
        )
    }
}

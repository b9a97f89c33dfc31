//! `/metrics`, `/ready`, `/live` and `/app-health/…`, on the pod's address.

use std::{future::Future, net::IpAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{Probes, Readiness, probes, server};
use crate::observe::Metrics;

#[derive(Clone)]
struct MetricsState {
    metrics: Metrics,
    readiness: Readiness,
}

/// Serves until the process ends. `probes` are the application's, which listens on `pod`.
pub fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    (probes, pod): (Probes, Option<IpAddr>),
    header_timeout: Duration,
) -> impl Future<Output = std::io::Result<()>> {
    let router = Router::new()
        .route("/metrics", get(scrape))
        .route("/ready", get(ready))
        .route("/live", get(async || "live\n"))
        .with_state(MetricsState { metrics, readiness })
        .merge(probes::routes(probes, pod));
    server::serve(listener, router, header_timeout)
}

async fn scrape(State(state): State<MetricsState>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match state.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(state): State<MetricsState>) -> (StatusCode, String) {
    match state.readiness.check() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

//! `/app-health/…`: the application's probes, asked by the proxy. The kubelet has no identity,
//! so under Strict mTLS the application's own port would refuse it; the proxy asks from within
//! the pod and passes the verdict on.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::USER_AGENT},
    routing::get,
};
use serde::Deserialize;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

use self::ask::{Failed, Verdict};

/// Taking whatever certificate an application shows.
mod any_certificate;
/// One kind of question each.
mod ask;

/// Probes that are under way at the same time: more than any pod has, and a bound for whoever
/// else reaches the port.
const CONCURRENCY: usize = 64;

/// The longest that any probe may take.
const LONGEST: Duration = Duration::from_secs(60);

/// The application's probes by path: `container/liveness`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes(BTreeMap<String, AppProbe>);

/// A probe as Kubernetes writes one, its port a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppProbe {
    http_get: Option<HttpGet>,
    tcp_socket: Option<TcpSocket>,
    grpc: Option<Grpc>,
    timeout_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpGet {
    path: String,
    port: u16,
    scheme: String,
    #[serde(default)]
    http_headers: Vec<HttpHeader>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct HttpHeader {
    name: String,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct TcpSocket {
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Grpc {
    port: u16,
    service: String,
}

impl FromStr for Probes {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
    }
}

#[derive(Clone)]
struct ProbeState {
    probes: Arc<Probes>,
    pod: IpAddr,
    slots: Arc<Semaphore>,
}

/// The routes. `pod` is where the application listens, as the kubelet would have it.
pub(super) fn routes(probes: Probes, pod: Option<IpAddr>) -> Router {
    Router::new()
        .route("/app-health/{container}/{kind}", get(check))
        .with_state(ProbeState {
            probes: Arc::new(probes),
            pod: pod.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            slots: Arc::new(Semaphore::new(CONCURRENCY)),
        })
}

async fn check(
    State(state): State<ProbeState>,
    Path((container, kind)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<(StatusCode, String), Infallible> {
    let Some(probe) = state.probes.0.get(&format!("{container}/{kind}")) else {
        let why = format!("no {kind} probe of container {container} goes through this proxy\n");
        return Ok((StatusCode::NOT_FOUND, why));
    };
    let Ok(_slot) = state.slots.try_acquire() else {
        let why = "too many probes at once\n".to_owned();
        return Ok((StatusCode::SERVICE_UNAVAILABLE, why));
    };
    let limit = Duration::from_secs(probe.timeout_seconds.max(1)).min(LONGEST);
    let agent = headers.get(USER_AGENT).cloned();
    let verdict = match timeout(limit, probe.ask(state.pod, agent)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(failed)) => Verdict::unhealthy(failed.to_string()),
        Err(_) => Verdict::unhealthy(format!("no answer within {} s", limit.as_secs())),
    };
    Ok((verdict.status, verdict.text))
}

impl AppProbe {
    async fn ask(&self, pod: IpAddr, agent: Option<http::HeaderValue>) -> Result<Verdict, Failed> {
        if let Some(get) = &self.http_get {
            let address = SocketAddr::new(pod, get.port);
            return ask::http(address, get, agent).await;
        }
        if let Some(socket) = &self.tcp_socket {
            let address = SocketAddr::new(pod, socket.port);
            TcpStream::connect(address)
                .await
                .map_err(|error| Failed::Connect(address, error))?;
            return Ok(Verdict::healthy());
        }
        if let Some(grpc) = &self.grpc {
            return ask::grpc(SocketAddr::new(pod, grpc.port), &grpc.service).await;
        }
        Ok(Verdict::healthy())
    }
}

#[cfg(test)]
mod tests;

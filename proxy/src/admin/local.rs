//! The admin port: only on a loopback address. `/config` and `/endpoints` show what is in use,
//! `/logging?level=…` changes what is logged, `POST /quitquitquit` begins the drain.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{HOST, ORIGIN},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::net::TcpListener;

use super::server;
use crate::{
    config::{ActiveDocument, ConfigStore, ServiceView},
    drain::Drain,
    identity::IdentityStore,
};

/// Changes what is logged; takes a `tracing` filter such as `info,weft_proxy=debug`.
pub type LogFilter = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What the admin port looks into.
#[derive(Clone)]
pub struct AdminState {
    /// The active config.
    pub config: ConfigStore,
    /// The active identity.
    pub identity: IdentityStore,
    /// The drain that `/quitquitquit` begins.
    pub drain: Drain,
    /// What `/logging` changes.
    pub log_filter: LogFilter,
}

/// Serves until the process ends.
pub fn serve(
    listener: TcpListener,
    state: AdminState,
    header_timeout: Duration,
) -> impl Future<Output = std::io::Result<()>> {
    let router = Router::new()
        .route("/config", get(config))
        .route("/endpoints", get(endpoints))
        .route("/logging", get(logging).post(logging))
        .route("/quitquitquit", post(quit))
        .layer(middleware::from_fn(only_local_names))
        .with_state(state);
    server::serve(listener, router, header_timeout)
}

/// A page in a browser on this host can make requests to loopback: under a name of its own (DNS
/// rebinding), so only local names are answered, and across origins, which browsers mark.
async fn only_local_names(
    headers: HeaderMap,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let from_page = headers.contains_key(ORIGIN)
        || site.is_some_and(|site| !matches!(site, b"none" | b"same-origin"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let is_local = name.is_some_and(|name| {
        name == "localhost" || name == "[::1]" || {
            let address = name.parse::<std::net::Ipv4Addr>();
            address.is_ok_and(|address| address.is_loopback())
        }
    });
    if is_local && !from_page {
        next.run(request).await
    } else {
        let why = "the admin port answers to localhost only, and to no web page\n";
        (StatusCode::FORBIDDEN, why).into_response()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigReport {
    documents: BTreeMap<String, ActiveDocument>,
    identity: Option<IdentityReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityReport {
    id: String,
    not_after: i64,
    generation: u64,
}

async fn config(State(state): State<AdminState>) -> Json<ConfigReport> {
    let documents = state.config.active().into_iter();
    Json(ConfigReport {
        documents: documents.map(|(name, d)| (name.to_string(), d)).collect(),
        identity: state.identity.active().map(|identity| IdentityReport {
            id: identity.id.to_string(),
            not_after: identity.not_after,
            generation: identity.generation,
        }),
    })
}

#[derive(Serialize)]
struct EndpointReport {
    address: String,
    identity: Option<String>,
    zone: Option<String>,
    ready: bool,
}

type PortReports = BTreeMap<u16, Vec<EndpointReport>>;

async fn endpoints(State(state): State<AdminState>) -> Json<BTreeMap<String, PortReports>> {
    let views = state.config.loaded_services().into_iter();
    Json(views.map(|view| (view.to_string(), ports(&view))).collect())
}

fn ports(view: &ServiceView) -> PortReports {
    view.endpoints_by_port()
        .map(|(port, endpoints)| {
            let reports = endpoints.iter().map(|endpoint| EndpointReport {
                address: endpoint.address.to_string(),
                identity: endpoint.identity.as_ref().map(ToString::to_string),
                zone: endpoint.zone.as_ref().map(ToString::to_string),
                ready: endpoint.ready,
            });
            (port, reports.collect())
        })
        .collect()
}

async fn logging(
    State(state): State<AdminState>,
    Query(query): Query<BTreeMap<String, String>>,
) -> (StatusCode, String) {
    let Some(level) = query.get("level") else {
        let usage = "give a filter: /logging?level=info or level=info,weft_proxy=debug\n";
        return (StatusCode::BAD_REQUEST, usage.to_owned());
    };
    match (state.log_filter)(level) {
        Ok(()) => (StatusCode::OK, format!("logging {level}\n")),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{level}: {error}\n")),
    }
}

async fn quit(State(state): State<AdminState>) -> &'static str {
    state.drain.start();
    "draining\n"
}

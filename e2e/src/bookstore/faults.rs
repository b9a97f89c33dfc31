//! Failing on purpose, at start by flags and later by `PUT /faults` on the health port.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

/// Which requests fail, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct FaultSettings {
    /// This share of the requests fails.
    #[arg(
        long,
        env = "BOOKSTORE_FAIL_PERCENT",
        default_value_t = 0,
        global = true
    )]
    #[serde(default)]
    pub fail_percent: u8,
    /// Every other request fails, the first one included.
    #[arg(long, env = "BOOKSTORE_FAIL_FIRST_OF_TWO", global = true)]
    #[serde(default)]
    pub fail_first_of_two: bool,
    /// The status of a failure.
    #[arg(
        long,
        env = "BOOKSTORE_FAIL_STATUS",
        default_value_t = 503,
        global = true
    )]
    #[serde(default = "unavailable")]
    pub fail_status: u16,
    /// Milliseconds before each answer.
    #[arg(long, env = "BOOKSTORE_DELAY", default_value_t = 0, global = true)]
    #[serde(default)]
    pub delay: u32,
}

impl Default for FaultSettings {
    fn default() -> Self {
        Self {
            fail_percent: 0,
            fail_first_of_two: false,
            fail_status: unavailable(),
            delay: 0,
        }
    }
}

fn unavailable() -> u16 {
    503
}

/// The settings, and what came of them since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultReport {
    /// The settings in force.
    pub settings: FaultSettings,
    /// Requests (or TCP connections) that reached the service.
    pub requests: u64,
    /// Those that were failed on purpose.
    pub failed: u64,
}

/// Shared by the service and its health listener.
#[derive(Debug, Default)]
pub(super) struct Faults {
    settings: RwLock<FaultSettings>,
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Faults {
    pub(super) fn new(settings: FaultSettings) -> Arc<Self> {
        Arc::new(Self {
            settings: RwLock::new(settings),
            ..Self::default()
        })
    }

    fn settings(&self) -> FaultSettings {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Counts a request; the status that it fails with, if it is to fail.
    pub(super) fn next(&self) -> Option<StatusCode> {
        let turn = self.requests.fetch_add(1, Ordering::Relaxed);
        let settings = self.settings();
        let fails = (settings.fail_first_of_two && turn.is_multiple_of(2))
            || fastrand::u8(0..100) < settings.fail_percent;
        if !fails {
            return None;
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        Some(StatusCode::from_u16(settings.fail_status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
    }

    fn report(&self) -> FaultReport {
        FaultReport {
            settings: self.settings(),
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Puts the faults in front of a service.
pub(super) fn layer(app: Router, faults: Arc<Faults>) -> Router {
    app.layer(middleware::from_fn_with_state(faults, intercept))
}

async fn intercept(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    let delay = Duration::from_millis(faults.settings().delay.into());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match faults.next() {
        Some(status) => (status, "failed on purpose\n").into_response(),
        None => next.run(request).await,
    }
}

/// `GET` and `PUT /faults`.
pub(super) fn control(faults: Arc<Faults>) -> Router {
    Router::new()
        .route("/faults", get(show).put(change))
        .with_state(faults)
}

async fn show(State(faults): State<Arc<Faults>>) -> Json<FaultReport> {
    Json(faults.report())
}

async fn change(
    State(faults): State<Arc<Faults>>,
    Json(settings): Json<FaultSettings>,
) -> Json<FaultReport> {
    *faults
        .settings
        .write()
        .unwrap_or_else(PoisonError::into_inner) = settings;
    Json(faults.report())
}

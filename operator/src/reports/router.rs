use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use weft_engine::report::{PATH, Report, Taken};

use super::{Answer, Refusal, Told};
use crate::{
    identity::Account,
    metrics::{Metrics, ReportResult},
};

/// The most that a report may hold: everything of a proxy that calls 8,192 services, with room.
const MOST_BYTES: usize = 4 << 20;

/// Reports that are read or answered at a time.
const AT_ONCE: usize = 32;

/// How long a report's body, and its answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Door {
    reports: mpsc::Sender<Told>,
    slots: Arc<Semaphore>,
    metrics: Metrics,
}

/// Takes reports; who a connection belongs to is an [`Account`] among the extensions.
pub(super) fn router(reports: mpsc::Sender<Told>, metrics: Metrics) -> Router {
    Router::new().route(PATH, post(take)).with_state(Door {
        reports,
        slots: Arc::new(Semaphore::new(AT_ONCE)),
        metrics,
    })
}

async fn take(
    State(door): State<Door>,
    Extension(from): Extension<Account>,
    body: Body,
) -> Response {
    let (result, response) = door.answer(from, body).await;
    door.metrics
        .reports
        .get_or_create(&ReportResult { result })
        .inc();
    response
}

const BUSY: &str = "too many reports at once; again in a moment\n";

impl Door {
    async fn answer(&self, from: Account, body: Body) -> (&'static str, Response) {
        let busy = || {
            (
                "busy",
                (StatusCode::SERVICE_UNAVAILABLE, BUSY).into_response(),
            )
        };
        let Ok(Ok(_slot)) = timeout(PATIENCE, self.slots.acquire()).await else {
            return busy();
        };
        let body = match timeout(PATIENCE, axum::body::to_bytes(body, MOST_BYTES)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let why = "a report has at most 4 MiB\n";
                return (
                    "too_large",
                    (StatusCode::PAYLOAD_TOO_LARGE, why).into_response(),
                );
            }
            Err(_) => {
                let why = "the report did not come in time\n";
                return ("slow", (StatusCode::REQUEST_TIMEOUT, why).into_response());
            }
        };
        let report: Report = match serde_json::from_slice(&body) {
            Ok(report) => report,
            Err(error) => return malformed(&error.to_string()),
        };
        drop(body);
        let (answer, answered) = oneshot::channel();
        let told = Told {
            from,
            report,
            answer,
        };
        let exchange = async {
            self.reports.send(told).await.ok()?;
            answered.await.ok()
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Some(answer)) => reply(answer),
            _ => busy(),
        }
    }
}

fn reply(answer: Answer) -> (&'static str, Response) {
    match answer {
        Answer::Taken(heartbeat) => {
            let taken = Taken {
                heartbeat_seconds: heartbeat.as_secs(),
            };
            ("taken", Json(taken).into_response())
        }
        Answer::Refused(Refusal::Everything) => {
            let why = "the report that this one builds on is not known; tell everything\n";
            ("incomplete", (StatusCode::CONFLICT, why).into_response())
        }
        Answer::Refused(Refusal::Malformed) => malformed("a digest is 128 bits in hex"),
        Answer::Refused(Refusal::Full) => {
            let why = "more is held by proxies than is remembered\n";
            (
                "full",
                (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
            )
        }
        Answer::NotLeading => {
            let why = "this operator does not lead; the document `mesh` says who does\n";
            (
                "not_leading",
                (StatusCode::MISDIRECTED_REQUEST, why).into_response(),
            )
        }
        Answer::UnknownPod => {
            let why = "no such pod runs as the account that the certificate names\n";
            ("unknown_pod", (StatusCode::FORBIDDEN, why).into_response())
        }
    }
}

fn malformed(why: &str) -> (&'static str, Response) {
    let text = format!("not a report: {why}\n");
    ("malformed", (StatusCode::BAD_REQUEST, text).into_response())
}

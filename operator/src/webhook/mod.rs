//! What the API server asks before it stores an object, over HTTPS.
//!
//! `/inject`: a pod of a meshed namespace gets its proxy; a pod that cannot have one as it is, is
//! refused. `/validate`: one of our own objects that could not be enforced is refused, with the
//! reason that its status would give later. Both look at nothing but the question, so that every
//! replica answers, also one that has just started and one that does not lead.

/// What the API server verifies it by.
mod bundle;
/// The certificate that is shown to the API server.
mod certificate;
/// The answer about a pod.
mod injection;
/// Connections, bounded.
mod server;
/// The answer about one of our own objects.
mod validation;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use kube::core::{DynamicObject, admission::AdmissionReview};

use crate::metrics::{Admission, Metrics};

pub use bundle::keep as keep_bundle;
pub use certificate::{Serving, keep as keep_certificate};
pub use server::serve;

/// An object, its predecessor, and the rest of the question; etcd takes 1.5 MiB of an object.
const MOST_BYTES: usize = 8 << 20;

/// What the answers need.
#[derive(Clone)]
struct Answers {
    settings: Arc<weft_inject::Settings>,
    metrics: Metrics,
}

/// The two webhooks.
pub fn router(settings: weft_inject::Settings, metrics: Metrics) -> Router {
    Router::new()
        .route("/inject", post(inject))
        .route("/validate", post(validate))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(Answers {
            settings: Arc::new(settings),
            metrics,
        })
}

async fn inject(State(answers): State<Answers>, body: Bytes) -> Response {
    let settings = answers.settings.clone();
    answers.reply("inject", serde_json::from_slice(&body), |request| {
        injection::answer(request, &settings)
    })
}

async fn validate(State(answers): State<Answers>, body: Bytes) -> Response {
    answers.reply(
        "validate",
        serde_json::from_slice(&body),
        validation::answer,
    )
}

/// An answer, and how it counts.
type Answer = (kube::core::admission::AdmissionResponse, &'static str);

impl Answers {
    fn reply<T: kube::Resource>(
        &self,
        webhook: &'static str,
        review: Result<AdmissionReview<T>, serde_json::Error>,
        answer: impl FnOnce(&kube::core::admission::AdmissionRequest<T>) -> Answer,
    ) -> Response {
        let request = review
            .map_err(|error| error.to_string())
            .and_then(|review| {
                review
                    .try_into()
                    .map_err(|_| "there is no request".to_owned())
            });
        let (reply, result) = match request {
            Ok(request) => {
                let (response, result) = answer(&request);
                (Ok(response.into_review()), result)
            }
            Err(why) => (Err(why), "not_understood"),
        };
        self.metrics
            .admissions
            .get_or_create(&Admission { webhook, result })
            .inc();
        match reply {
            Ok(review) => json(&review),
            Err(why) => {
                tracing::warn!(webhook, %why, "not an AdmissionReview of admission.k8s.io/v1");
                let text = format!("not an AdmissionReview of admission.k8s.io/v1: {why}\n");
                (StatusCode::BAD_REQUEST, text).into_response()
            }
        }
    }
}

fn json(review: &AdmissionReview<DynamicObject>) -> Response {
    match serde_json::to_vec(review) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

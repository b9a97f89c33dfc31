//! What the API server asks before it stores an object, over HTTPS.
//!
//! `/inject`: a pod of a meshed namespace gets its proxy; a pod that cannot have one as it is, is
//! refused. `/validate`: one of our own objects is lowered with the world of this replica; what
//! could not be enforced is refused, what looks unmeant is warned of, in the words of `weft lint`.
//! Every replica answers, also one that does not lead, and one that has just started: it judges
//! the object alone. No answer changes anything, so a dry run is asked about as all else.

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
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse, AdmissionReview},
};
use serde::de::DeserializeOwned;

use crate::{
    metrics::{Admission, Metrics},
    reconcile::Questions,
};
use validation::Judge;

pub use bundle::keep as keep_bundle;
pub use certificate::{Serving, keep as keep_certificate};
pub use server::serve;

/// An object, its predecessor, and the rest of the question; etcd takes 1.5 MiB of an object.
const MOST_BYTES: usize = 8 << 20;

/// What the answers need.
#[derive(Clone)]
struct Answers {
    settings: Arc<weft_inject::Settings>,
    judge: Judge,
    metrics: Metrics,
}

/// The two webhooks.
pub fn router(settings: weft_inject::Settings, questions: Questions, metrics: Metrics) -> Router {
    Router::new()
        .route("/inject", post(inject))
        .route("/validate", post(validate))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(Answers {
            settings: Arc::new(settings),
            judge: Judge::new(questions),
            metrics,
        })
}

async fn inject(State(answers): State<Answers>, body: Bytes) -> Response {
    let answer = match read(&body) {
        Ok(request) => Ok(injection::answer(&request, &answers.settings)),
        Err(why) => Err(why),
    };
    answers.reply("inject", answer)
}

async fn validate(State(answers): State<Answers>, body: Bytes) -> Response {
    let answer = match read(&body) {
        Ok(request) => Ok(answers.judge.answer(&request).await),
        Err(why) => Err(why),
    };
    answers.reply("validate", answer)
}

/// An answer, and how it counts.
type Answer = (AdmissionResponse, &'static str);

/// The question, or why it is none.
fn read<T: DeserializeOwned + kube::Resource>(body: &[u8]) -> Result<AdmissionRequest<T>, String> {
    let review: AdmissionReview<T> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    review
        .try_into()
        .map_err(|_| "there is no request".to_owned())
}

impl Answers {
    fn reply(&self, webhook: &'static str, answer: Result<Answer, String>) -> Response {
        let (reply, result) = match answer {
            Ok((response, result)) => (Ok(response.into_review()), result),
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

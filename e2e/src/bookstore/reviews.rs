//! The reviews, and a WebSocket on which they arrive as they are written.

use axum::{
    Json, Router,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use serde_json::json;

use super::{
    answer::{Answer, Instance},
    websocket,
};

pub(super) fn router(instance: Instance) -> Router {
    Router::new()
        .route("/reviews", get(reviews).post(reviews).delete(reviews))
        .route(
            "/reviews/{*book}",
            get(reviews).post(reviews).delete(reviews),
        )
        .route("/ws", get(live))
        .with_state(instance)
}

async fn reviews(State(instance): State<Instance>, request: Request) -> Json<Answer> {
    let reviews = if instance.version == "v1" {
        json!([{"book": "1", "text": "Could not put it down."}])
    } else {
        json!([{"book": "1", "text": "Could not put it down.", "stars": 5}])
    };
    Json(instance.answer(request.method(), request.uri(), request.headers(), reviews))
}

async fn live(State(instance): State<Instance>, request: Request) -> Response {
    let hello = instance.answer(
        request.method(),
        request.uri(),
        request.headers(),
        json!("hello"),
    );
    websocket::echo(request, &hello)
}

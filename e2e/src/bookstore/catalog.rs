//! The catalog: the books, and a path that nobody outside may read.

use axum::{
    Json, Router,
    extract::{Request, State},
    routing::get,
};
use serde_json::json;

use super::answer::{Answer, Instance};

pub(super) fn router(instance: Instance) -> Router {
    Router::new()
        .route("/books", get(books))
        .route("/books/{id}", get(books))
        .route("/internal/{*rest}", get(stock))
        .with_state(instance)
}

async fn books(State(instance): State<Instance>, request: Request) -> Json<Answer> {
    let books = json!([
        {"id": "1", "title": "The Loom and the Thread"},
        {"id": "2", "title": "Warp, Weft and Water"},
    ]);
    Json(instance.answer(request.method(), request.uri(), request.headers(), books))
}

async fn stock(State(instance): State<Instance>, request: Request) -> Json<Answer> {
    let stock = json!({"1": 12, "2": 3});
    Json(instance.answer(request.method(), request.uri(), request.headers(), stock))
}

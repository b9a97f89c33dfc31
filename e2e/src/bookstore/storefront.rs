//! The storefront: one page made of four calls.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{Request, State},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Instance},
    arguments::Targets,
    ratings::RatingsClient,
    upstream::{self, Upstream},
};

#[derive(Clone)]
struct Storefront {
    instance: Instance,
    targets: Targets,
    upstream: Upstream,
    ratings: Option<RatingsClient>,
}

pub(super) fn router(instance: Instance, targets: Targets, via: Option<SocketAddr>) -> Router {
    let upstream = Upstream::new(via);
    let ratings = upstream.ratings(&targets.ratings).ok();
    Router::new().route("/", get(page)).with_state(Storefront {
        instance,
        targets,
        upstream,
        ratings,
    })
}

async fn page(State(shop): State<Storefront>, request: Request) -> Json<Answer> {
    let (catalog, reviews, ratings, ledger) = tokio::join!(
        shop.upstream.get(&shop.targets.catalog, "/books"),
        shop.upstream.get(&shop.targets.reviews, "/reviews/1"),
        shop.rating("1"),
        upstream::ledger(&shop.targets.ledger),
    );
    let content = json!({
        "catalog": catalog,
        "reviews": reviews,
        "ratings": ratings,
        "ledger": ledger,
    });
    Json(
        shop.instance
            .answer(request.method(), request.uri(), request.headers(), content),
    )
}

impl Storefront {
    async fn rating(&self, book: &str) -> Value {
        let Some(mut client) = self.ratings.clone() else {
            return json!({"error": "the ratings' address is not a host and port"});
        };
        match client.get(book).await {
            Ok(rating) => json!({
                "stars": rating.stars,
                "instance": rating.instance,
                "clientCert": rating.client_cert,
            }),
            Err(status) => json!({"error": status.to_string()}),
        }
    }
}

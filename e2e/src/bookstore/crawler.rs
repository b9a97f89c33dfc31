//! The crawler: a client that may read the catalog and is refused the reviews.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    BookstoreError, Common, arguments::Targets, faults::Faults, serve, upstream::Upstream,
};

const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(
    common: &Common,
    faults: Arc<Faults>,
    targets: Targets,
) -> Result<(), BookstoreError> {
    let stop = serve::stopped()?;
    let upstream = Upstream::new(common.via);
    let ending = stop.clone();
    let crawling = async move {
        loop {
            let catalog = upstream.get(&targets.catalog, "/books").await;
            let reviews = upstream.get(&targets.reviews, "/reviews").await;
            println!("{}", json!({"catalog": catalog, "reviews": reviews}));
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = ending.cancelled() => return Ok(()),
            }
        }
    };
    serve::alongside_health(common, faults, stop, crawling).await
}

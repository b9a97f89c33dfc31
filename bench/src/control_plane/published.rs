use std::{pin::Pin, time::Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ListParams, WatchEvent, WatchParams},
};

use super::stage::{CONFIG, Stage};
use crate::BenchError;

/// A watch of the documents, from now on.
pub(super) struct Published {
    events: Pin<Box<dyn Stream<Item = Result<WatchEvent<ConfigMap>, kube::Error>> + Send>>,
}

/// A document that was stored.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) at: Instant,
}

impl Published {
    pub(super) async fn watch(stage: &Stage) -> Result<Self, BenchError> {
        let failed = BenchError::api("a watch of the documents");
        let api: Api<ConfigMap> = Api::namespaced(stage.client.clone(), CONFIG);
        let list = api.list_metadata(&ListParams::default().limit(1)).await;
        let version = match list {
            Ok(list) => list.metadata.resource_version.unwrap_or_default(),
            Err(error) => return Err(failed(error)),
        };
        let parameters = WatchParams::default().labels("app.kubernetes.io/managed-by=weft");
        let events = api.watch(&parameters, &version).await.map_err(failed)?;
        Ok(Self {
            events: Box::pin(events),
        })
    }

    /// The next document that is stored. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Seen, BenchError> {
        let failed = BenchError::api("the watch of the documents");
        loop {
            match self.events.next().await {
                Some(Ok(WatchEvent::Added(map) | WatchEvent::Modified(map))) => {
                    let at = Instant::now();
                    let text = map.data.and_then(|mut data| data.remove("document"));
                    return Ok(Seen {
                        name: map.metadata.name.unwrap_or_default(),
                        text: text.unwrap_or_default(),
                        at,
                    });
                }
                Some(Ok(WatchEvent::Error(status))) => return Err(failed(status.message)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(failed(error.to_string())),
                None => return Err(failed("it ended".to_owned())),
            }
        }
    }

    /// Waits until the document `name` says `mark`.
    pub(super) async fn until_says(
        &mut self,
        name: &str,
        mark: &str,
    ) -> Result<Instant, BenchError> {
        loop {
            let seen = self.next().await?;
            if seen.name == name && seen.text.contains(mark) {
                return Ok(seen.at);
            }
        }
    }
}

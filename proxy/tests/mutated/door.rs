use std::path::Path;

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use weft_engine::{documents::DocumentName, identity::Workload};
use weft_proxy::{
    config::{ActiveDocument, ConfigStore, Feed, FeedEvent, Keeper, LastGood},
    observe::Metrics,
};

/// A keeper, and the feed that it hears.
pub(crate) struct Door {
    pub(crate) store: ConfigStore,
    events: mpsc::Sender<FeedEvent>,
    changes: watch::Receiver<u64>,
    metrics: Metrics,
    keeper: JoinHandle<()>,
}

struct Said(mpsc::Receiver<FeedEvent>);

impl Feed for Said {
    fn follow(&mut self, _: DocumentName) {}

    fn unfollow(&mut self, _: &DocumentName) {}

    async fn next(&mut self) -> FeedEvent {
        match self.0.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Door {
    pub(crate) fn open(state: &Path) -> Self {
        let (events, said) = mpsc::channel(1);
        let metrics = Metrics::default();
        let workload = Workload {
            namespace: "shop".to_owned(),
            service_account: "reviews".to_owned(),
            pod: "reviews-0".to_owned(),
            labels: [("app".to_owned(), "reviews".to_owned())].into(),
        };
        let (keeper, store) = Keeper::new(
            Said(said),
            LastGood::new(Some(state.to_owned())).unwrap(),
            workload,
            Some(("edge".to_owned(), "public".to_owned())),
            metrics.recorder(),
        );
        Self {
            changes: store.changes(),
            store,
            events,
            metrics,
            keeper: tokio::spawn(keeper.run()),
        }
    }

    /// Has the keeper hear something, and waits until it has dealt with it.
    pub(crate) async fn say(&mut self, event: FeedEvent) {
        self.changes.mark_unchanged();
        let what = format!("{event:?}");
        let heard = self.events.send(event).await.is_ok() && self.changes.changed().await.is_ok();
        assert!(
            heard && !self.keeper.is_finished(),
            "the keeper ended at {what}"
        );
    }

    pub(crate) async fn take(&mut self, name: &DocumentName, json: &str) {
        self.say(FeedEvent::Document {
            name: name.clone(),
            json: json.to_owned(),
        })
        .await;
    }

    pub(crate) fn active(&self, name: &DocumentName) -> Option<ActiveDocument> {
        self.store.active().remove(name)
    }

    /// The value of a series.
    pub(crate) fn metric(&self, series: &str) -> Option<usize> {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

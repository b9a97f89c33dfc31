//! Documents as ConfigMaps, over the Kubernetes API: a watch per document by name, which is
//! how the kubelet follows the ConfigMaps of its pods. The watches share HTTP/2 connections.

/// Connections that the watches share.
mod connection;
/// One document: list, then watch, for ever.
mod follower;
/// ConfigMaps and watch events, as far as they are needed.
mod object;
/// Where the API server is and how we show who we are.
mod server;

use std::{collections::HashMap, sync::Arc};

use tokio::{sync::mpsc, task::AbortHandle};
use weft_engine::documents::DocumentName;

pub use server::{ApiError, ApiServer};

use self::{connection::Connections, follower::Follower};
use super::{Feed, FeedEvent};

/// Events that wait for the keeper; followers wait beyond.
const QUEUE: usize = 256;

/// Follows ConfigMaps.
#[derive(Debug)]
pub struct ApiFeed {
    connections: Arc<Connections>,
    namespace: Arc<str>,
    followers: HashMap<DocumentName, AbortHandle>,
    sender: mpsc::Sender<FeedEvent>,
    events: mpsc::Receiver<FeedEvent>,
}

impl ApiFeed {
    /// Follows the ConfigMaps of `namespace`. Must run in a tokio runtime.
    pub fn new(server: ApiServer, namespace: &str) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        Self {
            connections: Arc::new(Connections::new(server)),
            namespace: namespace.into(),
            followers: HashMap::new(),
            sender,
            events,
        }
    }
}

impl Feed for ApiFeed {
    fn follow(&mut self, name: DocumentName) {
        self.followers.entry(name.clone()).or_insert_with(|| {
            let follower = Follower::new(
                self.connections.clone(),
                self.namespace.clone(),
                name,
                self.sender.clone(),
            );
            tokio::spawn(follower.run()).abort_handle()
        });
    }

    fn unfollow(&mut self, name: &DocumentName) {
        if let Some(follower) = self.followers.remove(name) {
            follower.abort();
        }
    }

    async fn next(&mut self) -> FeedEvent {
        loop {
            match self.events.recv().await {
                // What a follower sent before it was ended is no longer of interest.
                Some(event) if self.followers.contains_key(event.name()) => return event,
                Some(_) => {}
                // `sender` lives in self, so the channel does not close.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for ApiFeed {
    fn drop(&mut self) {
        for follower in self.followers.values() {
            follower.abort();
        }
    }
}

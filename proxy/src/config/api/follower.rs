//! One document: list, then watch, for ever.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use weft_engine::documents::DocumentName;

use super::{
    ApiError,
    connection::{Answer, Connections},
    object::{ConfigMapList, WatchEvent},
};
use crate::config::FeedEvent;

/// The first wait after a failure; it doubles up to the last, with full jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// A ConfigMap holds 1 MiB; its JSON escapes the document's quotes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long one watch is asked to last, in seconds. Spread, so that a thousand watches do not
/// end together.
const WATCH_SECONDS: std::ops::Range<u64> = 240..300;

/// A watch that ends sooner than this, without a word, is not begun again at once: a server (or what
/// stands before it) that ends every watch must not be asked in a tight loop.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// Grace beyond what a watch was asked to last, after which it counts as lost.
const WATCH_GRACE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Follower {
    connections: Arc<Connections>,
    namespace: Arc<str>,
    name: DocumentName,
    events: mpsc::Sender<FeedEvent>,
    /// From where to watch; `None`: list first.
    resource_version: Option<String>,
    is_unreachable: bool,
}

impl Follower {
    pub(super) fn new(
        connections: Arc<Connections>,
        namespace: Arc<str>,
        name: DocumentName,
        events: mpsc::Sender<FeedEvent>,
    ) -> Self {
        Self {
            connections,
            namespace,
            name,
            events,
            resource_version: None,
            is_unreachable: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.step().await {
                Ok(()) => backoff = FIRST_BACKOFF,
                Err(ApiError::Gone) => {
                    self.resource_version = None;
                    sleep(jitter(FIRST_BACKOFF)).await;
                }
                Err(error) => {
                    // Listed anew afterwards. To go on from a version is only right with the
                    // server that gave it: what comes back after a failure may have been restored
                    // from a backup, whose versions are lower, and would keep silent about
                    // everything up to ours.
                    self.resource_version = None;
                    self.say_unreachable(&error).await;
                    sleep(jitter(backoff)).await;
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<(), ApiError> {
        match self.resource_version.clone() {
            None => self.list().await?,
            Some(version) => self.watch(&version).await?,
        }
        self.is_unreachable = false;
        Ok(())
    }

    fn path(&self, query: &str) -> String {
        // A document's name is a DNS subdomain: nothing in it needs encoding.
        format!(
            "/api/v1/namespaces/{}/configmaps?fieldSelector=metadata.name%3D{}{query}",
            self.namespace, self.name
        )
    }

    async fn list(&mut self) -> Result<(), ApiError> {
        let answer = self.connections.get(&self.path("")).await?;
        let body = Limited::new(answer.body, MAX_BYTES).collect();
        let body = timeout(Duration::from_secs(10), body)
            .await
            .map_err(|_| ApiError::Connect("the list does not end".to_owned()))?
            .map_err(|error| ApiError::Connect(error.to_string()))?
            .to_bytes();
        let list: ConfigMapList = parse(&body)?;
        self.resource_version = Some(list.metadata.resource_version);
        let name = self.name.clone();
        let event = match list.items.into_iter().next() {
            Some(object) => FeedEvent::Document {
                name,
                json: object.document(),
            },
            None => FeedEvent::Absent { name },
        };
        self.send(event).await;
        Ok(())
    }

    async fn watch(&mut self, version: &str) -> Result<(), ApiError> {
        let seconds = fastrand::u64(WATCH_SECONDS);
        let query = format!(
            "&watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
        );
        let answer = self.connections.get(&self.path(&query)).await?;
        let limit = Duration::from_secs(seconds) + WATCH_GRACE;
        let began = Instant::now();
        match timeout(limit, self.read_events(answer)).await {
            Ok(ended) => ended?,
            Err(_) => return Err(ApiError::Connect("the watch does not end".to_owned())),
        }
        if began.elapsed() < SHORT_WATCH && self.resource_version.as_deref() == Some(version) {
            sleep(jitter(SHORT_WATCH)).await;
        }
        Ok(())
    }

    async fn read_events(&mut self, mut answer: Answer) -> Result<(), ApiError> {
        let mut buffer = BytesMut::new();
        // Where the search for the line's end goes on: a long line comes in many frames.
        let mut searched = 0;
        while let Some(frame) = answer.body.frame().await {
            let frame = frame.map_err(|error| ApiError::Connect(error.to_string()))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            buffer.extend_from_slice(&data);
            while let Some(end) = find_newline(&buffer, searched) {
                let line = buffer.split_to(end + 1).freeze();
                searched = 0;
                self.take_line(&line).await?;
            }
            searched = buffer.len();
            if buffer.len() > MAX_BYTES {
                return Err(ApiError::Answer("an event above 4 MiB".to_owned()));
            }
        }
        Ok(())
    }

    async fn take_line(&mut self, line: &Bytes) -> Result<(), ApiError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let name = self.name.clone();
        let (version, event) = match parse(line)? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = object.metadata.resource_version.clone();
                let json = object.document();
                (version, Some(FeedEvent::Document { name, json }))
            }
            WatchEvent::Deleted(object) => {
                let event = FeedEvent::Absent { name };
                (object.metadata.resource_version, Some(event))
            }
            WatchEvent::Bookmark(object) => (object.metadata.resource_version, None),
            WatchEvent::Error(status) if status.code == 410 => return Err(ApiError::Gone),
            WatchEvent::Error(status) => {
                return Err(ApiError::Status {
                    status: status.code,
                    message: status.message,
                });
            }
        };
        if let Some(event) = event {
            self.send(event).await;
        }
        // Only after it was handed on: a watch that is cut in between begins before it.
        self.resource_version = Some(version);
        self.is_unreachable = false;
        Ok(())
    }

    async fn say_unreachable(&mut self, error: &ApiError) {
        if !self.is_unreachable {
            self.is_unreachable = true;
            let event = FeedEvent::Unreachable {
                name: self.name.clone(),
                reason: error.to_string(),
            };
            self.send(event).await;
        }
    }

    async fn send(&self, event: FeedEvent) {
        // Fails only when the feed is gone, and this task with it.
        let _ = self.events.send(event).await;
    }
}

fn find_newline(buffer: &[u8], from: usize) -> Option<usize> {
    let rest = buffer.get(from..)?;
    Some(from + rest.iter().position(|byte| *byte == b'\n')?)
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::Answer(error.to_string()))
}

fn jitter(limit: Duration) -> Duration {
    // At least a quarter, so that a failing server is not asked in a tight loop.
    limit.mul_f64(0.25 + 0.75 * fastrand::f64())
}

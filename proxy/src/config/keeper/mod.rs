//! Takes documents in and publishes views. One keeper per process, on the control thread:
//! parsing and compiling never run on a worker.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use weft_engine::{
    documents::{ClientPolicy, DocumentName, InboundDocument, Labels, MeshDocument},
    identity::Workload,
};

use self::open::{Rejection, open};
use super::{
    ActiveDocument, ConfigStore, Feed, FeedEvent, LastGood, alike::Alike, assembly::Assembly,
    store::MAX_SERVICES,
};
use crate::observe::{
    Recorder,
    families::{CONFIG_PROBLEMS, CONFIG_RELOADS},
};

/// What becomes of a document that is not there (any more).
mod absence;
/// From stored bytes to a document that may be trusted.
mod open;
/// From a document to what workers read.
mod publish;

type ServiceKey = (String, String);

/// How long the source may take to say something of a document that traffic waits for; then it is
/// taken from the last good state on disk, should that have it. A source that hangs is as bad as
/// one that is not there, only that it does not say so: what is old is better than nothing. And
/// what is new is better than what is old, so it is given this time.
const LATE: Duration = Duration::from_millis(300);

/// The same for what must be there before any traffic is taken: the process has just begun, and
/// its first connection to the source with it.
const LATE_AT_START: Duration = Duration::from_secs(2);

/// Keeps a [`ConfigStore`] equal to a feed.
#[derive(Debug)]
pub struct Keeper<F> {
    feed: F,
    store: ConfigStore,
    wanted: mpsc::Receiver<DocumentName>,
    last_good: LastGood,
    workload: Workload,
    metrics: Recorder,
    generation: u64,
    /// Boxed: the map has room for nearly twice as many.
    services: HashMap<ServiceKey, Box<Assembly>>,
    policies: Alike<Arc<ClientPolicy>>,
    labels: Alike<Labels>,
    /// Absent services in order of their absence, oldest first.
    absent: VecDeque<DocumentName>,
    mesh: Option<Arc<MeshDocument>>,
    inbound: Option<InboundDocument>,
    /// Documents that traffic must wait for and that have not been heard of.
    outstanding: HashSet<DocumentName>,
    /// Documents that the source may yet say something of before they are late, by when.
    awaited: VecDeque<(Instant, DocumentName)>,
}

impl<F: Feed> Keeper<F> {
    /// A keeper and the store that it fills.
    pub fn new(
        feed: F,
        last_good: LastGood,
        workload: Workload,
        gateway: Option<(String, String)>,
        metrics: Recorder,
    ) -> (Self, ConfigStore) {
        let (sender, wanted) = mpsc::channel(1024);
        let store = ConfigStore::new(sender);
        let gateway = gateway.map(|(ns, name)| DocumentName::Gateway(ns, name));
        let outstanding = [
            DocumentName::Mesh,
            DocumentName::Inbound(workload.namespace.clone()),
        ]
        .into_iter()
        .chain(gateway)
        .collect();
        let keeper = Self {
            feed,
            store: store.clone(),
            wanted,
            last_good,
            workload,
            metrics,
            generation: 0,
            services: HashMap::new(),
            policies: Alike::default(),
            labels: Alike::default(),
            absent: VecDeque::new(),
            mesh: None,
            inbound: None,
            outstanding,
            awaited: VecDeque::new(),
        };
        (keeper, store)
    }

    /// Runs for the process's life.
    pub async fn run(mut self) {
        // The only ones that are late later than others: nothing is wanted before they are there.
        let late = Instant::now() + LATE_AT_START;
        for name in self.outstanding.clone() {
            self.awaited.push_back((late, name.clone()));
            self.feed.follow(name);
        }
        loop {
            let late = self.awaited.front().map(|(late, _)| *late);
            let is_late = async {
                match late {
                    Some(late) => sleep_until(late).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.feed.next() => self.take(event),
                Some(name) = self.wanted.recv() => self.want(name),
                () = is_late => self.take_late(),
            }
        }
    }

    /// Takes what is late from the last good state.
    fn take_late(&mut self) {
        let now = Instant::now();
        while let Some((late, _)) = self.awaited.front()
            && *late <= now
            && let Some((_, name)) = self.awaited.pop_front()
        {
            self.take_last_good(&name, "the config source does not answer");
        }
        self.announce();
    }

    /// Takes a document that is not in use from the last good state, should that have it. What the
    /// source said is absent it has not.
    fn take_last_good(&mut self, name: &DocumentName, why: &str) {
        if self.store.active_of(name).is_none()
            && let Some(json) = self.last_good.load(name)
        {
            tracing::info!(document = %name, why, "taken from the last good state on disk");
            self.take_document(name, &json, false);
        }
    }

    fn want(&mut self, name: DocumentName) {
        if let DocumentName::Service(namespace, service) = &name {
            let key = (namespace.clone(), service.clone());
            if self.services.contains_key(&key) {
                return;
            }
            if self.services.len() >= MAX_SERVICES {
                tracing::warn!(document = %name, limit = MAX_SERVICES, "not followed: too many services are in use");
                return;
            }
            let endpoints = DocumentName::Endpoints(namespace.clone(), service.clone(), 0);
            self.services.insert(key, Box::default());
            self.follow(endpoints);
        }
        self.follow(name);
    }

    fn follow(&mut self, name: DocumentName) {
        if self.store.active_of(&name).is_none() {
            self.awaited
                .push_back((Instant::now() + LATE, name.clone()));
        }
        self.feed.follow(name);
    }

    fn take(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Document { name, json } => self.take_document(&name, &json, true),
            FeedEvent::Absent { name } => self.take_absence(&name),
            FeedEvent::Unreachable { name, reason } => {
                tracing::warn!(document = %name, %reason, "config source not reachable; what is in use stays in use");
                self.take_last_good(&name, &reason);
                // Whoever waits for a shard need not wait longer.
                if matches!(name, DocumentName::Index(_) | DocumentName::Addresses(_))
                    && self.store.active_of(&name).is_none()
                {
                    self.store.shared.set_absent(&name, true);
                }
            }
        }
        self.announce();
    }

    fn announce(&mut self) {
        self.generation += 1;
        if self.outstanding.is_empty() {
            self.store.shared.set_complete();
        }
        self.store.shared.announce(self.generation);
    }

    fn take_document(&mut self, name: &DocumentName, json: &str, is_fresh: bool) {
        let (envelope, unknown) = match open(name, json) {
            Ok(opened) => opened,
            Err(error) => return self.reject(name, &error, is_fresh),
        };
        // Said again, as after a list: what is compiled and published stays. A newer writer's digest
        // covers what this build cannot check, and so proves nothing.
        if unknown.is_empty() && self.is_in_use(name, &envelope.digest) {
            return;
        }
        for field in unknown {
            tracing::warn!(document = %name, %field, "unknown field ignored; the operator is newer than this proxy");
        }
        let digest = envelope.digest;
        let problems = self.apply(envelope.document);
        for problem in &problems {
            tracing::warn!(document = %name, %problem, "part of the document fails closed");
        }
        let text = name.to_string();
        if problems.is_empty() {
            self.metrics.remove(&CONFIG_PROBLEMS, &[&text]);
        } else {
            let count = i64::try_from(problems.len()).unwrap_or(i64::MAX);
            self.metrics.gauge(&CONFIG_PROBLEMS, &[&text]).set(count);
        }
        self.metrics.counter(&CONFIG_RELOADS, &["loaded"]).inc();
        self.set_active(
            name,
            Some(ActiveDocument {
                digest,
                problems,
                rejected: None,
            }),
        );
        self.absent.retain(|absent| absent != name);
        self.store.shared.set_absent(name, false);
        self.outstanding.remove(name);
        if is_fresh {
            self.last_good.store(name, json);
        }
    }

    fn is_in_use(&self, name: &DocumentName, digest: &str) -> bool {
        let active = self.store.active_of(name);
        active.is_some_and(|active| active.digest == digest && active.rejected.is_none())
    }

    /// Gives up a document: it is no longer in use, and when it is followed again it is news.
    fn unfollow(&mut self, name: &DocumentName) {
        self.feed.unfollow(name);
        self.set_active(name, None);
    }

    fn reject(&mut self, name: &DocumentName, error: &Rejection, is_fresh: bool) {
        self.metrics.counter(&CONFIG_RELOADS, &["rejected"]).inc();
        let kept = self.store.active_of(name).is_some();
        tracing::error!(document = %name, %error, kept, "document rejected");
        if !kept
            && is_fresh
            && let Some(json) = self.last_good.load(name)
        {
            self.take_document(name, &json, false);
        }
        let why = error.to_string();
        match self.store.active_of(name) {
            Some(active) => self.set_active(
                name,
                Some(ActiveDocument {
                    rejected: Some(why),
                    ..active
                }),
            ),
            None => self.store.shared.set_rejected(name, why),
        }
    }

    fn set_active(&self, name: &DocumentName, document: Option<ActiveDocument>) {
        if document.is_none() {
            self.metrics.remove(&CONFIG_PROBLEMS, &[&name.to_string()]);
        }
        self.store.shared.set_active(name, document);
    }
}

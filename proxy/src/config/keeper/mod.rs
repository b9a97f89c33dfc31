//! Takes documents in and publishes views. One keeper per process, on the control thread:
//! parsing and compiling never run on a worker.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use tokio::sync::mpsc;
use weft_engine::{
    documents::{DocumentName, InboundDocument, MeshDocument},
    identity::Workload,
};

use self::open::{Rejection, open};
use super::{
    ActiveDocument, ConfigStore, Feed, FeedEvent, LastGood, assembly::Assembly, store::MAX_SERVICES,
};
use crate::observe::{
    Recorder,
    families::{CONFIG_INFO, CONFIG_PROBLEMS, CONFIG_RELOADS},
};

/// What becomes of a document that is not there (any more).
mod absence;
/// From stored bytes to a document that may be trusted.
mod open;
/// From a document to what workers read.
mod publish;

type ServiceKey = (String, String);

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
    services: HashMap<ServiceKey, Assembly>,
    /// Absent services in order of their absence, oldest first.
    absent: VecDeque<DocumentName>,
    mesh: Option<Arc<MeshDocument>>,
    inbound: Option<InboundDocument>,
    /// Documents that traffic must wait for and that have not been heard of.
    outstanding: HashSet<DocumentName>,
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
            absent: VecDeque::new(),
            mesh: None,
            inbound: None,
            outstanding,
        };
        (keeper, store)
    }

    /// Runs for the process's life.
    pub async fn run(mut self) {
        for name in self.outstanding.clone() {
            self.feed.follow(name);
        }
        loop {
            tokio::select! {
                event = self.feed.next() => self.take(event),
                Some(name) = self.wanted.recv() => self.want(name),
            }
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
            self.services.insert(key, Assembly::default());
            self.feed.follow(endpoints);
        }
        self.feed.follow(name);
    }

    fn take(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Document { name, json } => self.take_document(&name, &json, true),
            FeedEvent::Absent { name } => self.take_absence(&name),
            FeedEvent::Unreachable { name, reason } => {
                tracing::warn!(document = %name, %reason, "config source not reachable; what is in use stays in use");
                if self.store.active_of(&name).is_none()
                    && let Some(json) = self.last_good.load(&name)
                {
                    tracing::info!(document = %name, "taken from the last good state on disk");
                    self.take_document(&name, &json, false);
                }
            }
        }
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
        for field in unknown {
            tracing::warn!(document = %name, %field, "unknown field ignored; the operator is newer than this proxy");
        }
        let digest = envelope.digest;
        let problems = self.apply(envelope.document);
        for problem in &problems {
            tracing::warn!(document = %name, %problem, "part of the document fails closed");
        }
        let count = i64::try_from(problems.len()).unwrap_or(i64::MAX);
        self.metrics
            .gauge(&CONFIG_PROBLEMS, &[&name.to_string()])
            .set(count);
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

    fn reject(&mut self, name: &DocumentName, error: &Rejection, is_fresh: bool) {
        self.metrics.counter(&CONFIG_RELOADS, &["rejected"]).inc();
        let active = self.store.active_of(name);
        tracing::error!(document = %name, %error, kept = active.is_some(), "document rejected");
        match active {
            Some(active) => {
                let rejected = Some(error.to_string());
                self.set_active(name, Some(ActiveDocument { rejected, ..active }));
            }
            None if is_fresh => {
                if let Some(json) = self.last_good.load(name) {
                    self.take_document(name, &json, false);
                }
            }
            None => {}
        }
    }

    fn set_active(&self, name: &DocumentName, document: Option<ActiveDocument>) {
        let text = name.to_string();
        let before = self.store.active_of(name);
        if let Some(before) = before {
            self.metrics.remove(&CONFIG_INFO, &[&text, &before.digest]);
        }
        match &document {
            Some(document) => {
                let labels = [text.as_str(), document.digest.as_str()];
                self.metrics.gauge(&CONFIG_INFO, &labels).set(1);
            }
            None => self.metrics.remove(&CONFIG_PROBLEMS, &[&text]),
        }
        self.store.shared.set_active(name, document);
    }
}

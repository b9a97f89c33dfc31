//! Takes documents in and publishes views. One keeper per process, on the control thread:
//! parsing and compiling never run on a worker.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use tokio::sync::mpsc;
use weft_engine::{
    compile::{CompiledGateway, CompiledInbound, CompiledService},
    documents::{
        Document, DocumentName, EndpointsDocument, Envelope, GatewayDocument, InboundDocument,
        MeshDocument,
    },
    identity::Workload,
    problem::Problem,
};

use super::{
    ActiveDocument, ConfigStore, Feed, FeedEvent, GatewayView, LastGood,
    assembly::Assembly,
    store::{MAX_ABSENT, MAX_SERVICES},
};
use crate::observe::{
    Recorder,
    families::{CONFIG_INFO, CONFIG_PROBLEMS, CONFIG_RELOADS},
};

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

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error(transparent)]
    Envelope(#[from] weft_engine::documents::EnvelopeError),
    #[error(
        "the document holds another document than its name says; delete it and the operator writes it again"
    )]
    Misnamed,
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
        let envelope = match open(name, json) {
            Ok(envelope) => envelope,
            Err(error) => return self.reject(name, &error, is_fresh),
        };
        for field in envelope.unknown_fields(json) {
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

    fn take_absence(&mut self, name: &DocumentName) {
        let was_active = self.store.active_of(name).is_some();
        match name {
            // Without mesh-wide settings there is no trust domain: what is in use stays.
            DocumentName::Mesh => {
                if let (None, Some(json)) = (&self.mesh, self.last_good.load(name)) {
                    self.take_document(name, &json, false);
                } else {
                    tracing::warn!(
                        kept = was_active,
                        "the mesh document is not there; check that the operator runs"
                    );
                }
                return;
            }
            DocumentName::Inbound(namespace) => {
                // A namespace without Services and policies has no document. That too is kept,
                // or a restart would wait for what does not exist.
                let empty = InboundDocument {
                    namespace: namespace.clone(),
                    ..InboundDocument::default()
                };
                self.inbound = Some(empty.clone());
                self.publish_inbound();
                self.outstanding.remove(name);
                self.note_withdrawal(name, was_active);
                let kept = Envelope::seal(Document::Inbound(empty));
                self.last_good.store(name, &kept.to_json());
                return;
            }
            DocumentName::Service(namespace, service) => {
                self.store.shared.withdraw_service(namespace, service);
                let key = (namespace.clone(), service.clone());
                if let Some(assembly) = self.services.get_mut(&key) {
                    assembly.service = None;
                    assembly.compiled = None;
                }
                self.remember_absent(name);
            }
            DocumentName::Endpoints(namespace, service, shard) => {
                let key = (namespace.clone(), service.clone());
                if let Some(assembly) = self.services.get_mut(&key) {
                    assembly.shards.insert(*shard, EndpointsDocument::default());
                }
                self.publish_service(key);
            }
            DocumentName::Gateway(..) => self.store.shared.publish_gateway(None),
            DocumentName::Index(shard) => {
                self.store
                    .shared
                    .publish_index(weft_engine::documents::IndexDocument {
                        shard: *shard,
                        ..Default::default()
                    });
            }
        }
        self.outstanding.remove(name);
        self.note_withdrawal(name, was_active);
        self.last_good.forget(name);
    }

    fn note_withdrawal(&self, name: &DocumentName, was_active: bool) {
        if was_active {
            tracing::info!(document = %name, "document withdrawn");
            self.metrics.counter(&CONFIG_RELOADS, &["withdrawn"]).inc();
            self.set_active(name, None);
        }
    }

    /// Absent services stay followed, so that their coming is noticed at once; the oldest is
    /// given up when there are too many.
    fn remember_absent(&mut self, name: &DocumentName) {
        self.store.shared.set_absent(name, true);
        if self.absent.contains(name) {
            return;
        }
        self.absent.push_back(name.clone());
        if self.absent.len() > MAX_ABSENT
            && let Some(oldest) = self.absent.pop_front()
        {
            self.store.shared.set_absent(&oldest, false);
            self.feed.unfollow(&oldest);
            if let DocumentName::Service(namespace, service) = oldest {
                let endpoints = DocumentName::Endpoints(namespace.clone(), service.clone(), 0);
                self.feed.unfollow(&endpoints);
                self.services.remove(&(namespace, service));
            }
        }
    }

    /// Compiles and publishes; gives the problems.
    fn apply(&mut self, document: Document) -> Vec<Problem> {
        match document {
            Document::Mesh(mesh) => {
                let mesh = Arc::new(mesh);
                self.mesh = Some(mesh.clone());
                self.store.shared.publish_mesh(mesh);
                self.publish_inbound()
            }
            Document::Inbound(inbound) => {
                self.inbound = Some(inbound);
                self.publish_inbound()
            }
            Document::Service(service) => {
                let key = (service.namespace.clone(), service.name.clone());
                let (compiled, problems) =
                    CompiledService::compile(&service, &self.workload.namespace);
                let assembly = self.services.entry(key.clone()).or_default();
                let shards_before = assembly.shard_count();
                assembly.service = Some(Arc::new(service));
                assembly.compiled = Some(Arc::new(compiled));
                let shards = assembly.shard_count();
                assembly.shards.split_off(&shards);
                for shard in shards..shards_before {
                    let (ns, name) = key.clone();
                    self.feed
                        .unfollow(&DocumentName::Endpoints(ns, name, shard));
                }
                for shard in 0..shards {
                    let (ns, name) = key.clone();
                    self.feed.follow(DocumentName::Endpoints(ns, name, shard));
                }
                self.publish_service(key);
                problems
            }
            Document::Endpoints(endpoints) => {
                let key = (endpoints.namespace.clone(), endpoints.name.clone());
                if let Some(assembly) = self.services.get_mut(&key) {
                    assembly.shards.insert(endpoints.shard, endpoints);
                }
                self.publish_service(key);
                Vec::new()
            }
            Document::Gateway(gateway) => {
                let (compiled, problems) = CompiledGateway::compile(&gateway);
                self.generation += 1;
                let view = gateway_view(&gateway, compiled, self.generation);
                self.store.shared.publish_gateway(Some(view));
                problems
            }
            Document::Index(index) => {
                self.store.shared.publish_index(index);
                Vec::new()
            }
        }
    }

    fn publish_service(&mut self, key: ServiceKey) {
        self.generation += 1;
        let Some(assembly) = self.services.get(&key) else {
            return;
        };
        if let Some(view) = assembly.view(self.generation) {
            self.store.shared.publish_service(view);
        }
    }

    /// Policies of the namespace and of the mesh together; nothing is published before both
    /// have been heard of.
    fn publish_inbound(&mut self) -> Vec<Problem> {
        let (Some(inbound), Some(mesh)) = (&self.inbound, &self.mesh) else {
            return Vec::new();
        };
        let (compiled, problems) = CompiledInbound::compile(inbound, mesh, &self.workload);
        self.store.shared.publish_inbound(compiled);
        problems
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

/// Parses, and checks that the document is the one that its name promises.
fn open(name: &DocumentName, json: &str) -> Result<Envelope, Rejection> {
    let envelope = Envelope::from_json(json)?;
    let is_same = match (&envelope.document, name) {
        (Document::Mesh(_), DocumentName::Mesh) => true,
        (Document::Index(d), DocumentName::Index(shard)) => d.shard == *shard,
        (Document::Inbound(d), DocumentName::Inbound(ns)) => d.namespace == *ns,
        (Document::Service(d), DocumentName::Service(ns, n)) => d.namespace == *ns && d.name == *n,
        (Document::Gateway(d), DocumentName::Gateway(ns, n)) => d.namespace == *ns && d.name == *n,
        (Document::Endpoints(d), DocumentName::Endpoints(ns, n, shard)) => {
            d.namespace == *ns && d.name == *n && d.shard == *shard
        }
        _ => false,
    };
    if is_same {
        Ok(envelope)
    } else {
        Err(Rejection::Misnamed)
    }
}

fn gateway_view(
    document: &GatewayDocument,
    compiled: CompiledGateway,
    generation: u64,
) -> GatewayView {
    let listeners = document.listeners.iter().enumerate();
    GatewayView {
        namespace: document.namespace.as_str().into(),
        name: document.name.as_str().into(),
        listeners: listeners.map(|(i, l)| (l.name.clone(), i)).collect(),
        compiled,
        generation,
    }
}

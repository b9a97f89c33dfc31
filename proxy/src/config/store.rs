//! What workers read. Reads take no lock; a swap replaces a table.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, watch};
use weft_engine::{
    compile::CompiledInbound,
    documents::{
        ADDRESS_SHARDS, AddressesDocument, DocumentName, INDEX_SHARDS, IndexDocument, MeshDocument,
        ServiceRef,
    },
    problem::Problem,
};

use super::{Addressed, GatewayView, ServiceView, addresses::AddressTable};

/// How long a first use waits for its documents.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the first connection to an address outside every Service waits for its shard. What it
/// dials may well be outside the mesh, and must not suffer for our asking.
pub(super) const ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Services that are followed at once; a first use beyond finds nothing. Far above what one
/// workload calls, so that a client that invents hosts cannot fill the memory.
pub(super) const MAX_SERVICES: usize = 8_192;

/// Names that are remembered as absent.
pub(super) const MAX_ABSENT: usize = 1_024;

/// By a name of the configuration: requests only look up.
type Named<T> = HashMap<Arc<str>, T, foldhash::fast::RandomState>;

type Inner = Arc<Named<Arc<ServiceView>>>;

/// Service views by namespace, then name: a look-up borrows both.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceTable(Named<Inner>);

impl ServiceTable {
    fn get(&self, namespace: &str, name: &str) -> Option<&Arc<ServiceView>> {
        self.0.get(namespace)?.get(name)
    }

    fn with(&self, view: Arc<ServiceView>) -> Self {
        let mut table = self.0.clone();
        let names = table.entry(view.namespace.clone()).or_default();
        Arc::make_mut(names).insert(view.name.clone(), view);
        Self(table)
    }

    fn without(&self, namespace: &str, name: &str) -> Self {
        let mut table = self.0.clone();
        if let Some(names) = table.get_mut(namespace) {
            Arc::make_mut(names).remove(name);
        }
        Self(table)
    }
}

/// A document that is in use, for the admin port.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveDocument {
    /// Its digest; empty: none is in use, for the first that came was rejected.
    pub digest: String,
    /// What of it cannot be enforced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Why a newer version was rejected, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

impl ActiveDocument {
    fn is_in_use(&self) -> bool {
        !self.digest.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    services: ArcSwap<ServiceTable>,
    inbound: ArcSwapOption<CompiledInbound>,
    mesh: ArcSwapOption<MeshDocument>,
    gateway: ArcSwapOption<GatewayView>,
    index: [ArcSwapOption<IndexDocument>; INDEX_SHARDS as usize],
    addresses: [ArcSwapOption<AddressTable>; ADDRESS_SHARDS as usize],
    /// Names that nobody waits for any more: absent, or a shard that did not come in time. They
    /// are followed, so that their coming is noticed.
    absent: Mutex<HashMap<DocumentName, ()>>,
    /// Those in use, and those that would be, were they not rejected.
    documents: Mutex<BTreeMap<DocumentName, ActiveDocument>>,
    generation: watch::Sender<u64>,
    wanted: mpsc::Sender<DocumentName>,
    /// The keeper has published everything that the process needs before it takes traffic.
    complete: AtomicBool,
}

/// The handle on the active config. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConfigStore {
    pub(super) shared: Arc<Shared>,
}

impl ConfigStore {
    /// An empty store; `wanted` hears the names that workers ask for.
    pub(super) fn new(wanted: mpsc::Sender<DocumentName>) -> Self {
        Self {
            shared: Arc::new(Shared {
                services: ArcSwap::default(),
                inbound: ArcSwapOption::empty(),
                mesh: ArcSwapOption::empty(),
                gateway: ArcSwapOption::empty(),
                index: std::array::from_fn(|_| ArcSwapOption::empty()),
                addresses: std::array::from_fn(|_| ArcSwapOption::empty()),
                absent: Mutex::default(),
                documents: Mutex::default(),
                generation: watch::Sender::new(0),
                wanted,
                complete: AtomicBool::new(false),
            }),
        }
    }

    /// The service, if it is loaded: no lock, no wait, no allocation.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<ServiceView>> {
        self.shared.services.load().get(namespace, name).cloned()
    }

    /// The service, loading it on first use. Waits at most [`LOAD_TIMEOUT`]; `None`: the mesh
    /// has no such service, or its documents did not come in time.
    pub async fn service(&self, namespace: &str, name: &str) -> Option<Arc<ServiceView>> {
        if let Some(view) = self.get(namespace, name) {
            return Some(view);
        }
        let document = DocumentName::Service(namespace.to_owned(), name.to_owned());
        // Boxed here and below: what mostly does not happen is no part of every request's state.
        let load = self.load(&document, LOAD_TIMEOUT, || self.get(namespace, name));
        Box::pin(load).await
    }

    /// The service whose ClusterIP this is, with port 0. Waits at most [`LOAD_TIMEOUT`].
    pub async fn service_at(&self, address: IpAddr) -> Option<ServiceRef> {
        let shard = IndexDocument::shard_of(address);
        let slot = self.shared.index.get(usize::from(shard))?;
        if slot.load().is_none() {
            let name = DocumentName::Index(shard);
            let load = self.load_shard(name, LOAD_TIMEOUT, || slot.load_full());
            Box::pin(load).await?;
        }
        slot.load().as_ref()?.services.get(&address).cloned()
    }

    /// Who is at an address that is no ClusterIP. Waits at most a second, and only until its shard
    /// is known or known not to come: a pod that is not known yet is called in plaintext, which it
    /// refuses where its policy asks for more.
    pub async fn pod_at(&self, address: SocketAddr) -> Addressed {
        let shard = AddressesDocument::shard_of(address.ip());
        if let Some(slot) = self.shared.addresses.get(usize::from(shard))
            && slot.load().is_none()
        {
            let name = DocumentName::Addresses(shard);
            let load = self.load_shard(name, ADDRESS_TIMEOUT, || slot.load_full());
            Box::pin(load).await;
        }
        self.known_pod_at(address)
    }

    /// Who is there as far as is known now.
    pub(super) fn known_pod_at(&self, address: SocketAddr) -> Addressed {
        let shard = AddressesDocument::shard_of(address.ip());
        let slot = self.shared.addresses.get(usize::from(shard));
        let table = slot.map(ArcSwapOption::load);
        let table = table.as_ref().and_then(|table| table.as_ref());
        table.map_or(Addressed::Outside, |table| table.at(address))
    }

    /// The server-side policies of this workload; `None` until they are loaded (refuse then).
    pub fn inbound(&self) -> Option<Arc<CompiledInbound>> {
        self.shared.inbound.load_full()
    }

    /// Mesh-wide settings; `None` until they are loaded.
    pub fn mesh(&self) -> Option<Arc<MeshDocument>> {
        self.shared.mesh.load_full()
    }

    /// The gateway that this proxy is, if it is one and its document is there.
    pub fn gateway(&self) -> Option<Arc<GatewayView>> {
        self.shared.gateway.load_full()
    }

    /// How many services are loaded.
    pub(crate) fn service_count(&self) -> usize {
        let services = self.shared.services.load();
        services.0.values().map(|names| names.len()).sum()
    }

    /// Hears of every swap. The value is the newest generation; a view of a lower one may
    /// still be the newest of its service.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// Whether everything is loaded that the process needs before it takes traffic.
    pub fn is_complete(&self) -> bool {
        self.shared.complete.load(Ordering::Acquire)
    }

    /// Every service that is loaded, for the admin port.
    pub fn loaded_services(&self) -> Vec<Arc<ServiceView>> {
        let table = self.shared.services.load();
        let mut views: Vec<_> = table.0.values().flat_map(|n| n.values().cloned()).collect();
        views.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        views
    }

    /// Every document in use, for the admin port and the operator; with those that would be, were
    /// they not rejected.
    pub fn active(&self) -> BTreeMap<DocumentName, ActiveDocument> {
        self.lock_documents().clone()
    }

    /// Calls `visit` for each document in use.
    pub(crate) fn each_active(&self, mut visit: impl FnMut(&DocumentName, &ActiveDocument)) {
        for (name, document) in &*self.lock_documents() {
            if document.is_in_use() {
                visit(name, document);
            }
        }
    }

    pub(super) fn active_of(&self, name: &DocumentName) -> Option<ActiveDocument> {
        let documents = self.lock_documents();
        let found = documents.get(name).filter(|known| known.is_in_use());
        found.cloned()
    }

    /// A shard that does not come in time is not waited for again until it does: nearly all that
    /// is asked of it concerns addresses that it says nothing of.
    async fn load_shard<T>(
        &self,
        name: DocumentName,
        within: Duration,
        found: impl Fn() -> Option<T>,
    ) -> Option<T> {
        if self.is_absent(&name) {
            return found();
        }
        let loaded = self.load(&name, within, &found).await;
        // A name that the keeper did not hear of (its queue was full) is not followed.
        if loaded.is_none() && self.shared.wanted.try_send(name.clone()).is_ok() {
            self.shared.set_absent(&name, true);
            // It may have come in between, and then nobody would take that back.
            if found().is_some() {
                self.shared.set_absent(&name, false);
            }
        }
        loaded
    }

    async fn load<T>(
        &self,
        name: &DocumentName,
        within: Duration,
        found: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes();
        if self.is_absent(name) {
            // The name is followed: when it comes, it is no longer absent.
            return found();
        }
        // A full queue means that the keeper is far behind; the wait is bounded all the same.
        let _ = self.shared.wanted.try_send(name.clone());
        let wait = async {
            loop {
                if let Some(found) = found() {
                    return Some(found);
                }
                if self.is_absent(name) || changes.changed().await.is_err() {
                    return found();
                }
            }
        };
        tokio::time::timeout(within, wait).await.unwrap_or(None)
    }

    fn is_absent(&self, name: &DocumentName) -> bool {
        let absent = self.shared.absent.lock();
        absent
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(name)
    }

    fn lock_documents(&self) -> MutexGuard<'_, BTreeMap<DocumentName, ActiveDocument>> {
        self.shared.lock_documents()
    }
}

/// What the keeper does to the store.
impl Shared {
    pub(super) fn publish_service(&self, view: ServiceView) {
        let table = self.services.load().with(Arc::new(view));
        self.services.store(Arc::new(table));
    }

    pub(super) fn withdraw_service(&self, namespace: &str, name: &str) {
        let table = self.services.load().without(namespace, name);
        self.services.store(Arc::new(table));
    }

    pub(super) fn publish_inbound(&self, inbound: CompiledInbound) {
        self.inbound.store(Some(Arc::new(inbound)));
    }

    pub(super) fn publish_mesh(&self, mesh: Arc<MeshDocument>) {
        self.mesh.store(Some(mesh));
    }

    pub(super) fn publish_gateway(&self, gateway: Option<GatewayView>) {
        self.gateway.store(gateway.map(Arc::new));
    }

    pub(super) fn publish_index(&self, document: IndexDocument) {
        if let Some(slot) = self.index.get(usize::from(document.shard)) {
            slot.store(Some(Arc::new(document)));
        }
    }

    pub(super) fn publish_addresses(&self, document: AddressesDocument) {
        if let Some(slot) = self.addresses.get(usize::from(document.shard)) {
            slot.store(Some(Arc::new(AddressTable::new(document))));
        }
    }

    pub(super) fn set_absent(&self, name: &DocumentName, is_absent: bool) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if is_absent {
            absent.insert(name.clone(), ());
        } else {
            absent.remove(name);
        }
    }

    /// What is in use under this name; `None`: nothing is, nor was anything rejected.
    pub(super) fn set_active(&self, name: &DocumentName, document: Option<ActiveDocument>) {
        let mut documents = self.lock_documents();
        match document {
            Some(document) => documents.insert(name.clone(), document),
            None => documents.remove(name),
        };
    }

    /// No version of it could be taken in (yet), and why.
    pub(super) fn set_rejected(&self, name: &DocumentName, why: String) {
        let rejected = ActiveDocument {
            digest: String::new(),
            problems: Vec::new(),
            rejected: Some(why),
        };
        self.set_active(name, Some(rejected));
    }

    fn lock_documents(&self) -> MutexGuard<'_, BTreeMap<DocumentName, ActiveDocument>> {
        let documents = self.documents.lock();
        documents.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Tells whoever waits, after a swap.
    pub(super) fn announce(&self, generation: u64) {
        self.generation.send_replace(generation);
    }
}

//! What workers read. Reads take no lock; a swap replaces a table.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, watch};
use weft_engine::{
    compile::CompiledInbound,
    documents::{DocumentName, IndexDocument, MeshDocument, ServiceRef},
    problem::Problem,
};

use super::{GatewayView, ServiceView};

/// How long a first use waits for its documents.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Services that are followed at once; a first use beyond finds nothing. Far above what one
/// workload calls, so that a client that invents hosts cannot fill the memory.
pub(super) const MAX_SERVICES: usize = 8_192;

/// Names that are remembered as absent.
pub(super) const MAX_ABSENT: usize = 1_024;

type Inner = Arc<HashMap<Arc<str>, Arc<ServiceView>>>;

/// Service views by namespace, then name: a look-up borrows both.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceTable(HashMap<Arc<str>, Inner>);

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
    /// Its digest.
    pub digest: String,
    /// What of it cannot be enforced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Why a newer version was rejected, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shared {
    services: ArcSwap<ServiceTable>,
    inbound: ArcSwapOption<CompiledInbound>,
    mesh: ArcSwapOption<MeshDocument>,
    gateway: ArcSwapOption<GatewayView>,
    index: [ArcSwapOption<IndexDocument>; weft_engine::documents::INDEX_SHARDS as usize],
    /// Names known to be absent (and followed, so that their coming is noticed).
    absent: Mutex<HashMap<DocumentName, ()>>,
    active: Mutex<BTreeMap<DocumentName, ActiveDocument>>,
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
                absent: Mutex::default(),
                active: Mutex::default(),
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
        Box::pin(self.load(&document, || self.get(namespace, name))).await
    }

    /// The service whose ClusterIP this is, with port 0.
    pub async fn service_at(&self, address: IpAddr) -> Option<ServiceRef> {
        let shard = IndexDocument::shard_of(address);
        let slot = self.shared.index.get(usize::from(shard))?;
        if slot.load().is_none() {
            Box::pin(self.load(&DocumentName::Index(shard), || slot.load_full())).await?;
        }
        slot.load().as_ref()?.services.get(&address).cloned()
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

    /// Every document in use, for the admin port.
    pub fn active(&self) -> BTreeMap<DocumentName, ActiveDocument> {
        self.lock_active().clone()
    }

    pub(super) fn active_of(&self, name: &DocumentName) -> Option<ActiveDocument> {
        self.lock_active().get(name).cloned()
    }

    async fn load<T>(&self, name: &DocumentName, found: impl Fn() -> Option<T>) -> Option<T> {
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
        tokio::time::timeout(LOAD_TIMEOUT, wait)
            .await
            .unwrap_or(None)
    }

    fn is_absent(&self, name: &DocumentName) -> bool {
        let absent = self.shared.absent.lock();
        absent
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(name)
    }

    fn lock_active(&self) -> std::sync::MutexGuard<'_, BTreeMap<DocumentName, ActiveDocument>> {
        let active = self.shared.active.lock();
        active.unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn set_absent(&self, name: &DocumentName, is_absent: bool) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if is_absent {
            absent.insert(name.clone(), ());
        } else {
            absent.remove(name);
        }
    }

    pub(super) fn set_active(&self, name: &DocumentName, document: Option<ActiveDocument>) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        match document {
            Some(document) => active.insert(name.clone(), document),
            None => active.remove(name),
        };
    }

    pub(super) fn set_complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Tells whoever waits, after a swap.
    pub(super) fn announce(&self, generation: u64) {
        self.generation.send_replace(generation);
    }
}

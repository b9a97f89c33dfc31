//! Every cluster of one core.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Write,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use weft_engine::documents::{ClientPolicy, ConnectionPool, Keepalive, Labels, Protocol};

use super::{cluster::Cluster, metrics::ClusterMetrics, pool};
use crate::{
    config::{ConfigStore, EndpointView, PodCall, ServiceView},
    worker::Worker,
};

/// How often idle connections and withdrawn services are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long a pod that nobody dials any more is remembered: longer than an idle connection is
/// kept.
const POD_MEMORY: Duration = Duration::from_secs(5 * 60);

/// Pods that are dialled by address and remembered by one core; beyond, the one that was dialled
/// the longest ago is forgotten. More than a client that scrapes a large cluster asks.
const MAX_PODS: usize = 8_192;

/// Connections and requests that one core has towards a local application at most.
const APP_POOL: ConnectionPool = ConnectionPool {
    max_connections: 4_096,
    max_pending_requests: 4_096,
    max_requests: 16_384,
    max_requests_per_connection: 0,
    connect_timeout: 1_000,
    // Below the keep-alive time-outs of common servers (Node closes after 5 s): the side that
    // sends requests should be the one that closes.
    idle_timeout: 4_000,
    // It is on this host, and does not vanish; one that stands still in a debugger may go on.
    tcp_keepalive: Keepalive(60_000, 15_000, 4),
};

/// One core's pools and endpoint state.
#[derive(Debug, Default)]
pub struct Upstreams {
    /// By `namespace/name:port`.
    services: RefCell<HashMap<Box<str>, Rc<Cluster>>>,
    /// Pods that were dialled themselves, by address.
    pods: RefCell<HashMap<SocketAddr, DialledPod>>,
    /// By where the local application listens.
    apps: RefCell<HashMap<SocketAddr, Rc<Cluster>>>,
    /// For composing keys without an allocation per request.
    scratch: RefCell<String>,
    sweeping: Cell<bool>,
}

#[derive(Debug)]
struct DialledPod {
    cluster: Rc<Cluster>,
    last: Cell<Instant>,
}

impl Upstreams {
    /// The cluster of a service's port, brought up to date with `view`.
    pub fn service(worker: &Rc<Worker>, view: &ServiceView, port: u16) -> Rc<Cluster> {
        let this = &worker.upstreams;
        let now = Instant::now();
        let mut key = this.scratch.borrow_mut();
        key.clear();
        // Writing to a String cannot fail.
        let _ = write!(key, "{}/{}:{port}", view.namespace, view.name);
        let found = this.services.borrow().get(key.as_str()).cloned();
        let cluster = found.unwrap_or_else(|| {
            let cluster = Cluster::new(
                (&view.namespace, &view.name, port),
                u32::try_from(worker.bootstrap.worker_count()).unwrap_or(u32::MAX),
                ClusterMetrics::new(&worker.metrics, &view.namespace, &view.name, port),
                now,
            );
            this.services
                .borrow_mut()
                .insert(key.as_str().into(), cluster.clone());
            this.start_sweeping(worker);
            cluster
        });
        drop(key);
        cluster.follow(view, now);
        cluster
    }

    /// The cluster of a pod that the client dialled itself: one endpoint, brought up to date with
    /// what is known of it.
    pub fn pod(worker: &Rc<Worker>, call: &PodCall) -> Rc<Cluster> {
        let this = &worker.upstreams;
        let now = Instant::now();
        let address = call.pod.address;
        let (namespace, service, port) = call.names();
        let mut pods = this.pods.borrow_mut();
        if let Some(known) = pods.get(&address) {
            let cluster = &known.cluster;
            if (&*cluster.namespace, &*cluster.service, cluster.port) == (namespace, service, port)
            {
                known.last.set(now);
                cluster.follow_pod(call, now);
                return cluster.clone();
            }
            // Another Service stands for it now.
            cluster.withdraw(now);
        } else if pods.len() >= MAX_PODS {
            let oldest = pods.iter().min_by_key(|(_, pod)| pod.last.get());
            if let Some(gone) = oldest.map(|(address, _)| *address)
                && let Some(gone) = pods.remove(&gone)
            {
                gone.cluster.withdraw(now);
            }
        }
        let (namespace, service) = (namespace.into(), service.into());
        let cluster = Cluster::new(
            (&namespace, &service, port),
            u32::try_from(worker.bootstrap.worker_count()).unwrap_or(u32::MAX),
            ClusterMetrics::of_pod(&worker.metrics, &namespace, &service, port),
            now,
        );
        cluster.follow_pod(call, now);
        let pod = DialledPod {
            cluster: cluster.clone(),
            last: Cell::new(now),
        };
        pods.insert(address, pod);
        drop(pods);
        this.start_sweeping(worker);
        cluster
    }

    /// The cluster of the local application at `address`; one endpoint, in plaintext.
    pub fn app(worker: &Rc<Worker>, address: SocketAddr) -> Rc<Cluster> {
        let this = &worker.upstreams;
        if let Some(found) = this.apps.borrow().get(&address) {
            return found.clone();
        }
        let now = Instant::now();
        let (nowhere, app) = ("".into(), "app".into());
        let cluster = Cluster::new(
            (&nowhere, &app, address.port()),
            1,
            ClusterMetrics::new(&worker.metrics, &nowhere, &app, address.port()),
            now,
        );
        let policy = ClientPolicy {
            connection_pool: APP_POOL,
            ..ClientPolicy::default()
        };
        let endpoint = EndpointView {
            address,
            identity: None,
            zone: None,
            labels: Labels::default(),
            ready: true,
        };
        cluster.replace(
            None,
            Arc::new(policy),
            Protocol::Auto,
            Arc::from([endpoint]),
            now,
        );
        this.apps.borrow_mut().insert(address, cluster.clone());
        this.start_sweeping(worker);
        cluster
    }

    /// Looks after clusters and idle connections every few seconds, for as long as the worker
    /// lives.
    fn start_sweeping(&self, worker: &Rc<Worker>) {
        if self.sweeping.replace(true) {
            return;
        }
        let worker = Rc::downgrade(worker);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(worker) = worker.upgrade() else {
                    return;
                };
                let now = Instant::now();
                worker.upstreams.keep_up(&worker.config, now);
                worker.upstreams.each(|cluster| pool::sweep(cluster, now));
            }
        });
    }

    /// Brings clusters without traffic up to date, and lets those go whose service was withdrawn;
    /// exchanges under way on them end as they would have.
    fn keep_up(&self, config: &ConfigStore, now: Instant) {
        let mut services = self.services.borrow_mut();
        let before = services.len();
        services.retain(|_, cluster| {
            let view = config.get(&cluster.namespace, &cluster.service);
            let view = view.filter(|view| view.compiled.port(cluster.port).is_some());
            match &view {
                Some(view) => cluster.follow(view, now),
                None => cluster.withdraw(now),
            }
            view.is_some()
        });
        if services.len() < before {
            services.shrink_to_fit();
        }
        self.pods.borrow_mut().retain(|_, pod| {
            let keep = now.duration_since(pod.last.get()) < POD_MEMORY || pod.cluster.is_busy();
            if !keep {
                pod.cluster.withdraw(now);
            }
            keep
        });
    }

    /// Calls `visit` for each cluster.
    pub fn each(&self, mut visit: impl FnMut(&Rc<Cluster>)) {
        self.services.borrow().values().for_each(&mut visit);
        let pods = self.pods.borrow();
        pods.values().for_each(|pod| visit(&pod.cluster));
        self.apps.borrow().values().for_each(&mut visit);
    }
}

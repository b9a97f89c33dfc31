//! One service port as one core knows it: its endpoints' state, its retry budget, its bounds.
//! Follows the config: a newer view replaces the list of endpoints and the policy, the state of
//! endpoints that stay is kept.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    ops::Deref,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use weft_engine::documents::{ClientPolicy, Labels, LoadBalancing, Protocol};

use super::{
    balance::{Candidate, Picker},
    endpoint::{Endpoint, EndpointKey},
    metrics::ClusterMetrics,
    outlier::{self, Outcome},
    pool::Bounds,
    retry_budget::RetryBudget,
};
use crate::config::{ConfigStore, EndpointView, PodCall, ServiceView};

/// Subsets whose endpoint lists are kept; more than a service's routes can sensibly name.
const SUBSETS: usize = 64;

/// One service port.
#[derive(Debug)]
pub struct Cluster {
    /// The Service's namespace.
    pub namespace: Arc<str>,
    /// The Service's name.
    pub service: Arc<str>,
    /// The Service's port.
    pub port: u16,
    /// What bounds connections and requests.
    pub bounds: Rc<Bounds>,
    workers: u32,
    /// No longer in the registry.
    withdrawn: Cell<bool>,
    current: RefCell<Rc<Current>>,
    picker: Picker,
    budget: RefCell<RetryBudget>,
    interval_ends: Cell<Option<Instant>>,
    pub(crate) metrics: ClusterMetrics,
}

/// What the newest view says.
#[derive(Debug)]
struct Current {
    generation: Option<u64>,
    policy: Arc<ClientPolicy>,
    protocol: Protocol,
    views: Arc<[EndpointView]>,
    /// Their state, in the same order.
    endpoints: Rc<[Rc<Endpoint>]>,
    /// The ready endpoints; mostly all of them.
    ready: Rc<[Rc<Endpoint>]>,
    /// The ready endpoints by subset, filled on first use.
    subsets: RefCell<Vec<Subset>>,
}

/// How to call a cluster. Kept for as long as an exchange needs it, whatever newer views say.
#[derive(Clone, Debug)]
pub struct Policy(Rc<Current>);

impl Deref for Policy {
    type Target = ClientPolicy;

    fn deref(&self) -> &ClientPolicy {
        &self.0.policy
    }
}

#[derive(Debug)]
struct Subset {
    labels: Labels,
    endpoints: Rc<[Rc<Endpoint>]>,
}

impl Cluster {
    /// An empty cluster; [`Self::follow`] fills it.
    pub fn new(
        (namespace, service, port): (&Arc<str>, &Arc<str>, u16),
        workers: u32,
        metrics: ClusterMetrics,
        now: Instant,
    ) -> Rc<Self> {
        Rc::new(Self {
            namespace: namespace.clone(),
            service: service.clone(),
            port,
            bounds: Rc::new(Bounds::default()),
            workers,
            withdrawn: Cell::new(false),
            current: RefCell::new(Rc::new(Current {
                generation: None,
                policy: Arc::default(),
                protocol: Protocol::Auto,
                views: Arc::default(),
                endpoints: Rc::default(),
                ready: Rc::default(),
                subsets: RefCell::default(),
            })),
            picker: Picker::default(),
            budget: RefCell::new(RetryBudget::new(now)),
            interval_ends: Cell::new(None),
            metrics,
        })
    }

    /// Takes over `view` if it is newer than what is known. One comparison when it is not.
    pub fn follow(&self, view: &ServiceView, now: Instant) {
        let known = self.current.borrow().generation;
        if known.is_some_and(|known| view.generation <= known) {
            return;
        }
        let (policy, protocol) = view
            .compiled
            .port(self.port)
            .map(|port| (port.policy.clone(), port.protocol))
            .unwrap_or_default();
        self.replace(
            Some(view.generation),
            policy,
            protocol,
            view.endpoints(self.port),
            now,
        );
    }

    /// Before another attempt: what failed may have been withdrawn meanwhile, and others may have
    /// come.
    pub(crate) fn catch_up(&self, config: &ConfigStore) {
        // Only a cluster of a service follows views.
        if self.current.borrow().generation.is_some()
            && let Some(view) = config.get(&self.namespace, &self.service)
        {
            self.follow(&view, Instant::now());
        }
    }

    /// Takes over what is known of the one pod that this is the cluster of. Compares when nothing
    /// changed.
    pub(super) fn follow_pod(&self, call: &PodCall, now: Instant) {
        let (policy, protocol, endpoint) = (call.policy(), call.port().protocol, call.endpoint());
        {
            let known = self.current.borrow();
            if *known.policy == policy
                && known.protocol == protocol
                && known.views.first() == Some(&endpoint)
            {
                return;
            }
        }
        let (policy, views) = (Arc::new(policy), Arc::from([endpoint]));
        self.replace(None, policy, protocol, views, now);
    }

    /// Whether exchanges or connections are under way.
    pub(super) fn is_busy(&self) -> bool {
        self.any_endpoint(|endpoint| endpoint.is_busy())
    }

    /// Whether it is in use, and the cluster of this service's port.
    pub fn is_of(&self, view: &ServiceView, port: u16) -> bool {
        self.port == port
            && !self.withdrawn.get()
            && *self.service == *view.name
            && *self.namespace == *view.namespace
    }

    /// Its service is gone: idle connections close, and its gauge goes.
    pub(super) fn withdraw(&self, now: Instant) {
        let (policy, views) = (Arc::default(), Arc::default());
        self.replace(None, policy, Protocol::Auto, views, now);
        self.metrics.withdraw();
        self.withdrawn.set(true);
    }

    pub(super) fn replace(
        &self,
        generation: Option<u64>,
        policy: Arc<ClientPolicy>,
        protocol: Protocol,
        views: Arc<[EndpointView]>,
        now: Instant,
    ) {
        let before = self.current.borrow().endpoints.clone();
        let known = before.iter().map(|endpoint| (&endpoint.key, endpoint));
        let mut known: HashMap<&EndpointKey, &Rc<Endpoint>> = known.collect();
        let endpoints: Rc<[Rc<Endpoint>]> = views
            .iter()
            .map(|view| {
                let key = key_of(view);
                match known.remove(&key) {
                    Some(endpoint) => endpoint.clone(),
                    None => Endpoint::new(key, now),
                }
            })
            .collect();
        known.values().for_each(|gone| gone.retire());
        let ready = if views.iter().all(|view| view.ready) {
            endpoints.clone()
        } else {
            let ready = views.iter().zip(endpoints.iter());
            let ready = ready.filter(|(view, _)| view.ready);
            ready.map(|(_, endpoint)| endpoint.clone()).collect()
        };
        self.bounds.set(&policy.connection_pool, self.workers);
        *self.current.borrow_mut() = Rc::new(Current {
            generation,
            policy,
            protocol,
            views,
            endpoints,
            ready,
            subsets: RefCell::default(),
        });
        self.count_ejected(now);
    }

    /// How to call it, by the newest view.
    pub fn policy(&self) -> Policy {
        Policy(self.current.borrow().clone())
    }

    /// What its port is declared to speak.
    pub fn protocol(&self) -> Protocol {
        self.current.borrow().protocol
    }

    /// A uniform draw, for picks by weight.
    pub fn draw(&self) -> u64 {
        self.picker.draw()
    }

    /// Picks an endpoint of the subset, `None`: of all; `avoid`: those that an earlier attempt used.
    pub fn pick(
        &self,
        default: LoadBalancing,
        labels: Option<&Labels>,
        avoid: &[Rc<Endpoint>],
        now: Instant,
    ) -> Option<Rc<Endpoint>> {
        self.end_interval_if_due(now);
        let current = self.current.borrow().clone();
        let endpoints = Self::subset(&current, labels);
        let algorithm = current.policy.load_balancing.unwrap_or(default);
        self.picker
            .pick(
                algorithm,
                &endpoints,
                |endpoint| avoid.iter().any(|used| Rc::ptr_eq(used, endpoint)),
                now,
            )
            .cloned()
    }

    fn subset(current: &Current, labels: Option<&Labels>) -> Rc<[Rc<Endpoint>]> {
        let Some(labels) = labels.filter(|labels| !labels.is_empty()) else {
            return current.ready.clone();
        };
        let mut subsets = current.subsets.borrow_mut();
        if let Some(subset) = subsets.iter().find(|subset| subset.labels == *labels) {
            return subset.endpoints.clone();
        }
        let endpoints: Rc<[Rc<Endpoint>]> = current
            .views
            .iter()
            .zip(current.endpoints.iter())
            .filter(|(view, _)| view.ready && labels.are_within(&view.labels))
            .map(|(_, endpoint)| endpoint.clone())
            .collect();
        if subsets.len() < SUBSETS {
            // Most services have a few: no room for more.
            subsets.reserve_exact(1);
            subsets.push(Subset {
                labels: labels.clone(),
                endpoints: endpoints.clone(),
            });
        }
        endpoints
    }

    /// An exchange with `endpoint` ended so; `latency` until the response's head.
    pub fn observe(&self, endpoint: &Endpoint, outcome: Outcome, latency: Duration, now: Instant) {
        endpoint.observe_latency(latency, outcome.is_failure(), now);
        let policy = self.policy();
        let Some(settings) = &policy.outlier_detection else {
            return;
        };
        let mut record = endpoint.record();
        let asks = record.observe(settings, outcome, now);
        endpoint.set_record(record);
        if asks {
            let reason = match outcome {
                Outcome::GatewayError => "consecutive_gateway_errors",
                _ => "consecutive_5xx",
            };
            self.eject(endpoint, reason, now);
        }
    }

    fn eject(&self, endpoint: &Endpoint, reason: &'static str, now: Instant) {
        let current = self.current.borrow().clone();
        let Some(settings) = &current.policy.outlier_detection else {
            return;
        };
        let total = current.ready.len();
        if !outlier::may_eject(settings, self.ejected(now), total) {
            return;
        }
        let mut record = endpoint.record();
        let duration = record.eject(settings, now);
        endpoint.set_record(record);
        tracing::info!(
            service = %self.service,
            namespace = %self.namespace,
            port = self.port,
            endpoint = %endpoint.key.address,
            reason,
            seconds = duration.as_secs_f64(),
            "endpoint ejected"
        );
        self.metrics.ejected(reason);
        self.count_ejected(now);
    }

    fn ejected(&self, now: Instant) -> usize {
        self.current
            .borrow()
            .ready
            .iter()
            .filter(|endpoint| endpoint.record().is_ejected(now))
            .count()
    }

    fn count_ejected(&self, now: Instant) {
        self.metrics.set_ejected(self.ejected(now));
    }

    /// Ends the detection's interval when its time is over. Driven by the traffic: without
    /// requests there is nothing to judge.
    fn end_interval_if_due(&self, now: Instant) {
        if self.interval_ends.get().is_some_and(|ends| now < ends) {
            return;
        }
        let current = self.current.borrow().clone();
        let Some(settings) = &current.policy.outlier_detection else {
            // Looked at again in a second: the policy may come to have one.
            self.interval_ends.set(Some(now + Duration::from_secs(1)));
            return;
        };
        let first = self.interval_ends.get().is_none();
        // A floor, so that an interval of 0 does not walk the endpoints at each request.
        let interval = Duration::from_millis(settings.interval.max(100));
        self.interval_ends.set(Some(now + interval));
        if first {
            return;
        }
        for endpoint in current.ready.iter() {
            let mut record = endpoint.record();
            let asks = record.end_interval(settings, now);
            endpoint.set_record(record);
            if asks {
                self.eject(endpoint, "success_rate", now);
            }
        }
        self.count_ejected(now);
    }

    /// A request (not a retry) begins.
    pub fn begin_request(&self, now: Instant) {
        self.budget.borrow_mut().request(now);
    }

    /// Takes a retry out of the budget; `false` when it is spent.
    pub fn withdraw_retry(&self, now: Instant) -> bool {
        let policy = self.policy();
        self.budget
            .borrow_mut()
            .withdraw(&policy.retry_budget, self.workers, now)
    }

    /// Whether another endpoint than this could be asked at once, and may be.
    pub(super) fn has_another(&self, endpoint: &Rc<Endpoint>, now: Instant) -> bool {
        let current = self.current.borrow().clone();
        let is_there = current
            .ready
            .iter()
            .any(|other| !Rc::ptr_eq(other, endpoint) && other.available(now));
        let budget = &current.policy.retry_budget;
        is_there && self.budget.borrow_mut().has_room(budget, self.workers, now)
    }

    /// Every endpoint that the newest view names.
    pub fn endpoints(&self) -> Vec<Rc<Endpoint>> {
        self.current.borrow().endpoints.to_vec()
    }

    /// Calls `visit` for each endpoint until it says it is done.
    pub(super) fn any_endpoint(&self, mut visit: impl FnMut(&Rc<Endpoint>) -> bool) -> bool {
        let current = self.current.borrow().clone();
        current.endpoints.iter().any(&mut visit)
    }
}

fn key_of(view: &EndpointView) -> EndpointKey {
    EndpointKey {
        address: view.address,
        identity: view.identity.clone(),
    }
}

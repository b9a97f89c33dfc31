//! What the requests of one connection share.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    time::Instant,
};

use http::{HeaderValue, uri::Authority};
use weft_engine::{authority::AuthorityRejection, documents::ServiceRef};

use super::{headers, request_body::Activity, series::Series, target::service_of};
use crate::{
    connection::ConnectionInfo,
    observe::{Counter, Gauge, families},
    upstream::Cluster,
    worker::Worker,
};

/// In which cluster domain a service was looked for, and what was found.
type Found = (Box<str>, Option<Rc<ServiceRef>>);

/// What a request calls its server.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub text: Box<str>,
    /// `None` where it is empty (HTTP/1.0), or no authority of a URI.
    pub parsed: Option<Authority>,
    /// Why the engine would refuse it.
    pub rejection: Option<AuthorityRejection>,
    /// What it names in a cluster of that domain.
    service: RefCell<Option<Found>>,
}

impl Named {
    /// The service that it names, as clients in `namespace` mean it; read once.
    pub(super) fn service(&self, namespace: &str, domain: &str) -> Option<Rc<ServiceRef>> {
        let mut known = self.service.borrow_mut();
        match &*known {
            Some((of, service)) if **of == *domain => service.clone(),
            _ => {
                let service = service_of(&self.text, namespace, domain).map(Rc::new);
                *known = Some((domain.into(), service.clone()));
                service
            }
        }
    }
}

/// Exchanges whose timers a connection keeps for later ones. HTTP/1.1 needs one.
const ACTIVITIES: usize = 8;

/// Decisions whose counters a connection remembers.
const DECISIONS: usize = 8;

/// What a policy said.
#[derive(Debug)]
struct Decision {
    policy: Box<str>,
    rule: Box<str>,
    decision: &'static str,
    shadow: bool,
    count: Counter,
}

/// One served connection.
#[derive(Debug)]
pub(super) struct Context {
    pub worker: Rc<Worker>,
    pub connection: ConnectionInfo,
    /// Exchanges under way.
    active: Cell<u32>,
    /// When the last exchange ended.
    last_end: Cell<Instant>,
    /// Exchanges under way on this core and in this direction.
    requests_active: Gauge,
    /// The last authority that was asked for: the next request mostly names the same.
    named: RefCell<Rc<Named>>,
    /// Who calls, as the application is told; `None` in plaintext.
    caller: OnceCell<Option<HeaderValue>>,
    /// The last service's cluster, likewise.
    pub cluster: RefCell<Option<Rc<Cluster>>>,
    /// The series of the last exchange: the next one mostly has the same labels.
    pub series: RefCell<Option<Series>>,
    /// What policies said last, and where it is counted.
    decisions: RefCell<Vec<Decision>>,
    /// Those of ended exchanges, for the next: with them go their timers.
    activities: RefCell<Vec<Activity>>,
}

impl Context {
    pub(super) fn new(worker: Rc<Worker>, connection: ConnectionInfo) -> Rc<Self> {
        let direction = connection.direction.as_str();
        let requests_active = worker
            .metrics
            .gauge(&families::REQUESTS_ACTIVE, &[direction]);
        Rc::new(Self {
            worker,
            connection,
            requests_active,
            named: RefCell::default(),
            caller: OnceCell::new(),
            cluster: RefCell::default(),
            active: Cell::new(0),
            last_end: Cell::new(Instant::now()),
            series: RefCell::default(),
            decisions: RefCell::default(),
            activities: RefCell::default(),
        })
    }

    /// The authority, parsed once for as long as requests name the same.
    pub(super) fn named(&self, authority: &str) -> Rc<Named> {
        let mut named = self.named.borrow_mut();
        if *named.text != *authority {
            *named = Rc::new(Named {
                text: authority.into(),
                parsed: Authority::try_from(authority).ok(),
                rejection: weft_engine::authority::host(authority).err(),
                service: RefCell::default(),
            });
        }
        named.clone()
    }

    /// Who calls, as the application is told: by what the connection's handshake proved.
    pub(super) fn caller(&self) -> Option<&HeaderValue> {
        let tls = self.connection.tls.as_ref();
        let caller = self
            .caller
            .get_or_init(|| tls.and_then(headers::client_cert));
        caller.as_ref()
    }

    /// The activity of an exchange that begins.
    pub(super) fn activity(&self, now: Instant) -> Activity {
        let mut activities = self.activities.borrow_mut();
        if let Some(free) = activities.iter().find(|activity| activity.is_free()) {
            free.again(now);
            return free.clone();
        }
        let activity = Activity::new(now);
        if activities.len() < ACTIVITIES {
            activities.push(activity.clone());
        }
        activity
    }

    pub(super) fn begin(&self) {
        self.active.set(self.active.get() + 1);
        self.requests_active.add(1);
    }

    pub(super) fn end(&self, now: Instant) {
        self.active.set(self.active.get().saturating_sub(1));
        self.requests_active.add(-1);
        self.last_end.set(now);
    }

    /// Counts what a policy said.
    pub(super) fn decided(&self, policy: &str, rule: &str, decision: &'static str, shadow: bool) {
        let mut decisions = self.decisions.borrow_mut();
        let known = decisions.iter().find(|known| {
            known.decision == decision
                && known.shadow == shadow
                && *known.rule == *rule
                && *known.policy == *policy
        });
        if let Some(known) = known {
            return known.count.inc();
        }
        let mode = if shadow { "shadow" } else { "enforce" };
        let labels = [policy, rule, decision, mode];
        let metrics = &self.worker.metrics;
        let count = metrics.counter(&families::AUTHZ_DECISIONS, &labels);
        count.inc();
        if decisions.len() >= DECISIONS {
            decisions.clear();
        }
        decisions.push(Decision {
            policy: policy.into(),
            rule: rule.into(),
            decision,
            shadow,
            count,
        });
    }

    /// Since when no exchange is under way; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.last_end.get())
    }
}

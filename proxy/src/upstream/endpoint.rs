//! One endpoint as one core knows it: load, latency, conduct, connections. Survives config
//! swaps: it is keyed by address and identity, and kept while some view names it.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use weft_engine::identity::SpiffeId;

use super::{
    balance::{Candidate, PeakEwma},
    outlier::Record,
    pool::Connections,
};

/// What makes two endpoints the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointKey {
    /// Pod address and target port.
    pub address: SocketAddr,
    /// What its proxy must prove; `None`: it is called in plaintext. Part of the key: a reused
    /// address with another identity is another endpoint, and must not get the old connections.
    pub identity: Option<Arc<SpiffeId>>,
}

/// One endpoint's state.
#[derive(Debug)]
pub struct Endpoint {
    /// Who it is.
    pub key: EndpointKey,
    outstanding: Cell<u32>,
    ewma: Cell<PeakEwma>,
    record: Cell<Record>,
    /// Its connections.
    pub(super) connections: RefCell<Connections>,
    retired: Cell<bool>,
    pause: Cell<Pause>,
}

/// How long an endpoint that took no request is passed over: the first time so long that the
/// news of its end may arrive meanwhile, then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What follows from requests that an endpoint did not take.
#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    until: Option<Instant>,
    /// In a row.
    times: u32,
}

impl Endpoint {
    /// Nothing known yet.
    pub fn new(key: EndpointKey, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            key,
            outstanding: Cell::new(0),
            ewma: Cell::new(PeakEwma::new(now)),
            record: Cell::default(),
            connections: RefCell::default(),
            retired: Cell::new(false),
            pause: Cell::default(),
        })
    }

    /// Counts a request (or connection) as under way until the guard is dropped.
    pub fn begin(self: &Rc<Self>) -> Outstanding {
        self.outstanding.set(self.outstanding.get() + 1);
        Outstanding(self.clone())
    }

    /// Takes in how long an answer took and whether it was a failure of the endpoint.
    pub fn observe_latency(&self, latency: Duration, failed: bool, now: Instant) {
        let mut ewma = self.ewma.get();
        ewma.observe(latency, failed, now);
        self.ewma.set(ewma);
    }

    /// What is held against it.
    pub fn record(&self) -> Record {
        self.record.get()
    }

    /// Writes the record back.
    pub fn set_record(&self, record: Record) {
        self.record.set(record);
    }

    /// It took no request: no connection came about, or its proxy found no application. Others are
    /// preferred for a while, so that a pod that stops costs each worker one retry and not one
    /// for every request until its endpoint is withdrawn. No judgement on its conduct: that is
    /// the outlier detection's.
    pub fn pass_over(&self, now: Instant) {
        let Pause { until, times } = self.pause.get();
        // Those that were under way at the same time tell of the same refusal.
        if until.is_some_and(|until| now < until) {
            return;
        }
        let pause = FIRST_PAUSE
            .saturating_mul(2u32.saturating_pow(times.min(16)))
            .min(LONGEST_PAUSE);
        self.pause.set(Pause {
            until: now.checked_add(pause),
            times: times.saturating_add(1),
        });
    }

    /// It took a request.
    pub fn takes(&self) {
        self.pause.set(Pause::default());
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.pause.get().until.is_some_and(|until| now < until)
    }

    /// No view names it any more: what is under way finishes, idle connections close, and none
    /// is kept from now on.
    pub fn retire(&self) {
        self.retired.set(true);
        self.connections.borrow_mut().clear();
    }

    /// A view names it again.
    pub fn revive(&self) {
        self.retired.set(false);
    }

    /// Whether requests or connections are under way.
    pub fn is_busy(&self) -> bool {
        self.outstanding.get() > 0
    }

    /// Whether connections must not be kept.
    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }
}

impl Candidate for Rc<Endpoint> {
    fn outstanding(&self) -> u32 {
        self.outstanding.get()
    }

    fn cost(&self, now: Instant) -> f64 {
        self.ewma.get().cost(self.outstanding.get(), now)
    }

    fn available(&self, now: Instant) -> bool {
        !self.record.get().is_ejected(now) && !self.is_passed_over(now)
    }
}

/// Counts one request as under way.
#[derive(Debug)]
pub struct Outstanding(Rc<Endpoint>);

impl Outstanding {
    /// The endpoint.
    pub fn endpoint(&self) -> &Rc<Endpoint> {
        &self.0
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        let count = &self.0.outstanding;
        count.set(count.get().saturating_sub(1));
    }
}

//! What the requests of one connection share.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use http::uri::Authority;

use super::{framing::Progress, series::Series};
use crate::{
    connection::ConnectionInfo,
    observe::{Gauge, families},
    upstream::Cluster,
    worker::Worker,
};

/// What a request calls its server.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub text: Box<str>,
    /// `None` where it is empty (HTTP/1.0), or no authority of a URI.
    pub parsed: Option<Authority>,
}

/// One served connection.
#[derive(Debug)]
pub(super) struct Context {
    pub worker: Rc<Worker>,
    pub connection: ConnectionInfo,
    /// What the byte guard saw.
    pub progress: Arc<Progress>,
    /// Exchanges under way.
    active: Cell<u32>,
    /// When the last exchange ended.
    last_end: Cell<Instant>,
    /// Exchanges under way on this core and in this direction.
    requests_active: Gauge,
    /// The last authority that was asked for: the next request mostly names the same.
    named: RefCell<Rc<Named>>,
    /// The last service's cluster, likewise.
    pub cluster: RefCell<Option<Rc<Cluster>>>,
    /// The series of the last exchange: the next one mostly has the same labels.
    pub series: RefCell<Option<Series>>,
}

impl Context {
    pub(super) fn new(
        worker: Rc<Worker>,
        connection: ConnectionInfo,
        progress: Arc<Progress>,
    ) -> Rc<Self> {
        let direction = connection.direction.as_str();
        let requests_active = worker
            .metrics
            .gauge(&families::REQUESTS_ACTIVE, &[direction]);
        Rc::new(Self {
            worker,
            connection,
            progress,
            requests_active,
            named: RefCell::default(),
            cluster: RefCell::default(),
            active: Cell::new(0),
            last_end: Cell::new(Instant::now()),
            series: RefCell::default(),
        })
    }

    /// The authority, parsed once for as long as requests name the same.
    pub(super) fn named(&self, authority: &str) -> Rc<Named> {
        let mut named = self.named.borrow_mut();
        if *named.text != *authority {
            *named = Rc::new(Named {
                text: authority.into(),
                parsed: Authority::try_from(authority).ok(),
            });
        }
        named.clone()
    }

    pub(super) fn begin(&self) {
        self.active.set(self.active.get() + 1);
        self.requests_active.add(1);
    }

    pub(super) fn end(&self) {
        self.active.set(self.active.get().saturating_sub(1));
        self.requests_active.add(-1);
        self.last_end.set(Instant::now());
    }

    /// Since when no exchange is under way; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.last_end.get())
    }
}

//! What the requests of one connection share.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::{framing::Progress, series::Series};
use crate::{connection::ConnectionInfo, worker::Worker};

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
    /// The series of the last exchange: the next one mostly has the same labels.
    pub series: RefCell<Option<Series>>,
}

impl Context {
    pub(super) fn new(
        worker: Rc<Worker>,
        connection: ConnectionInfo,
        progress: Arc<Progress>,
    ) -> Rc<Self> {
        Rc::new(Self {
            worker,
            connection,
            progress,
            active: Cell::new(0),
            last_end: Cell::new(Instant::now()),
            series: RefCell::default(),
        })
    }

    pub(super) fn begin(&self) {
        self.active.set(self.active.get() + 1);
    }

    pub(super) fn end(&self) {
        self.active.set(self.active.get().saturating_sub(1));
        self.last_end.set(Instant::now());
    }

    /// Since when no exchange is under way; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.last_end.get())
    }
}

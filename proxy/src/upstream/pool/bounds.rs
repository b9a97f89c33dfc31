//! What bounds the connections and requests towards one service port.

use std::{cell::Cell, rc::Rc};

use tokio::sync::Notify;
use weft_engine::documents::ConnectionPool;

/// The bounds of one core: its share of what the policy allows the proxy (rounded up, at least
/// one), because cores share no counters.
#[derive(Debug, Default)]
pub struct Bounds {
    max_connections: Cell<u32>,
    max_pending: Cell<u32>,
    max_requests: Cell<u32>,
    connections: Cell<u32>,
    pending: Cell<u32>,
    requests: Cell<u32>,
    /// Woken, one waiter at a time and in order, when a connection is free or gone.
    freed: Notify,
}

impl Bounds {
    /// Takes new limits over; what exceeds them finishes.
    pub fn set(&self, pool: &ConnectionPool, workers: u32) {
        let share = |limit: u32| limit.div_ceil(workers.max(1)).max(1);
        self.max_connections.set(share(pool.max_connections));
        // Zero pending requests is a meaning of its own: never wait.
        self.max_pending.set(match pool.max_pending_requests {
            0 => 0,
            limit => share(limit),
        });
        self.max_requests.set(share(pool.max_requests));
    }

    /// A request begins; `None` when too many are under way.
    pub fn begin_request(self: &Rc<Self>) -> Option<RequestPermit> {
        take(&self.requests, self.max_requests.get()).then(|| RequestPermit(self.clone()))
    }

    /// A connection is about to be opened; `None` when there are too many.
    pub fn open_connection(self: &Rc<Self>) -> Option<ConnectionPermit> {
        take(&self.connections, self.max_connections.get()).then(|| ConnectionPermit(self.clone()))
    }

    /// A request waits for a connection; `None` when too many do.
    pub fn wait(self: &Rc<Self>) -> Option<PendingPermit> {
        take(&self.pending, self.max_pending.get()).then(|| PendingPermit(self.clone()))
    }

    /// Resolves when a connection may have become free.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// A connection became free: the first waiter looks again.
    pub fn free(&self) {
        // Without waiters, `notify_one` would leave a permit behind and wake a later waiter in
        // vain.
        if self.pending.get() > 0 {
            self.freed.notify_one();
        }
    }

    /// Whether one more connection may be opened.
    pub fn has_room(&self) -> bool {
        self.connections.get() < self.max_connections.get()
    }

    /// Connections that are open or being opened.
    pub fn connections(&self) -> u32 {
        self.connections.get()
    }

    /// Requests under way.
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }
}

fn take(count: &Cell<u32>, limit: u32) -> bool {
    let taken = count.get() < limit;
    if taken {
        count.set(count.get() + 1);
    }
    taken
}

fn give_back(count: &Cell<u32>) {
    count.set(count.get().saturating_sub(1));
}

/// One request under way.
#[derive(Debug)]
pub struct RequestPermit(Rc<Bounds>);

impl Drop for RequestPermit {
    fn drop(&mut self) {
        give_back(&self.0.requests);
    }
}

/// One connection.
#[derive(Debug)]
pub struct ConnectionPermit(Rc<Bounds>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        give_back(&self.0.connections);
        self.0.free();
    }
}

/// One request that waits for a connection.
#[derive(Debug)]
pub struct PendingPermit(Rc<Bounds>);

impl Drop for PendingPermit {
    fn drop(&mut self) {
        give_back(&self.0.pending);
    }
}

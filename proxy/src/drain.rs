//! Stopping without losing a request: SIGTERM turns readiness off, listeners stop accepting,
//! HTTP connections say goodbye (GOAWAY, `Connection: close`), and the process ends when the
//! last connection has, or when the drain time-out is over.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

/// A handle on the process's one drain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain {
    started: watch::Sender<bool>,
    open: Arc<AtomicU64>,
}

/// Counts one open connection until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<AtomicU64>);

impl Default for Drain {
    fn default() -> Self {
        Self {
            started: watch::Sender::new(false),
            open: Arc::default(),
        }
    }
}

impl Drain {
    /// Begins the drain; repeating it changes nothing.
    pub fn start(&self) {
        self.started.send_replace(true);
    }

    /// Whether the drain has begun: one relaxed read and a flag, cheap enough per request.
    pub fn is_draining(&self) -> bool {
        *self.started.borrow()
    }

    /// Resolves once the drain has begun; at once if it already has.
    pub async fn started(&self) {
        let mut receiver = self.started.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = receiver.wait_for(|started| *started).await;
    }

    /// Counts a connection that the drain waits for.
    pub fn open(&self) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.open.clone())
    }

    /// Connections that the drain waits for.
    pub fn open_connections(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

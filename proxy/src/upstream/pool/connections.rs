//! The connections of one endpoint.

use std::{
    cell::Cell,
    fmt,
    rc::Rc,
    time::{Duration, Instant},
};

use hyper::client::conn::http2;
use tokio::sync::oneshot;

use super::dial::DialError;
use crate::{h1, http::RequestBody};

/// Idle HTTP/1.1 connections kept per endpoint and core.
const MAX_IDLE: usize = 128;

/// The connections of one endpoint. Most endpoints that are known have none: then it is a word.
#[derive(Debug, Default)]
pub struct Connections(Option<Box<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// Idle HTTP/1.1 connections, the most recently used last.
    idle: Vec<Idle>,
    /// HTTP/2 connections.
    shared: Vec<Rc<Shared>>,
    /// Requests that wait for the HTTP/2 connection that is being opened; `None`: none is.
    opening: Option<Waiting>,
}

/// Who waits for a connection that is being opened.
type Waiting = Vec<oneshot::Sender<Result<(), DialError>>>;

/// An HTTP/1.1 connection without an exchange.
pub(super) struct Idle {
    pub connection: Box<h1::Connection>,
    /// Exchanges that it carried.
    pub uses: u32,
    pub since: Instant,
}

/// An HTTP/2 connection.
pub(super) struct Shared {
    pub sender: http2::SendRequest<RequestBody>,
    /// Streams that are open.
    pub streams: Cell<u32>,
    /// What the peer allows; kept current by the connection's own task.
    pub max_streams: Rc<Cell<usize>>,
    /// Streams that it carried.
    pub uses: Cell<u32>,
    /// When the last stream ended.
    pub since: Cell<Instant>,
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("uses", &self.uses).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("streams", &self.streams)
            .finish()
    }
}

impl Connections {
    fn open(&mut self) -> &mut Open {
        self.0.get_or_insert_default()
    }

    /// The most recently used idle connection that is still open.
    pub(super) fn take_idle(&mut self, idle_timeout: Duration, now: Instant) -> Option<Idle> {
        let open = self.0.as_mut()?;
        while let Some(mut idle) = open.idle.pop() {
            if now.saturating_duration_since(idle.since) < idle_timeout && idle.connection.is_open()
            {
                return Some(idle);
            }
        }
        None
    }

    /// Keeps a connection for the next exchange.
    pub(super) fn keep(&mut self, idle: Idle) {
        let kept = &mut self.open().idle;
        if kept.len() >= MAX_IDLE {
            kept.remove(0);
        }
        kept.push(idle);
    }

    /// An HTTP/2 connection with a stream to spare, the fullest first: the others may drain and
    /// close.
    pub(super) fn with_room(&mut self, max_uses: u32) -> Option<Rc<Shared>> {
        let shared = &mut self.0.as_mut()?.shared;
        shared.retain(|shared| !shared.sender.is_closed() && !spent(shared.uses.get(), max_uses));
        shared
            .iter()
            .filter(|shared| (shared.streams.get() as usize) < shared.max_streams.get())
            .max_by_key(|shared| shared.streams.get())
            .cloned()
    }

    /// Who waits for the HTTP/2 connection that is being opened; `None`: none is.
    pub(super) fn opening(&mut self) -> &mut Option<Waiting> {
        &mut self.open().opening
    }

    pub(super) fn share(&mut self, shared: Rc<Shared>) {
        self.open().shared.push(shared);
    }

    /// Forgets a connection that turned out to be going away.
    pub(super) fn forget(&mut self, gone: &Rc<Shared>) {
        let shared = &mut self.open().shared;
        shared.retain(|shared| !Rc::ptr_eq(shared, gone));
    }

    /// Closes what was idle for too long.
    pub(super) fn sweep(&mut self, idle_timeout: Duration, now: Instant) {
        let Some(open) = &mut self.0 else { return };
        let fresh = |since: Instant| now.saturating_duration_since(since) < idle_timeout;
        open.idle
            .retain_mut(|idle| fresh(idle.since) && idle.connection.is_open());
        open.shared.retain(|shared| {
            !shared.sender.is_closed() && (shared.streams.get() > 0 || fresh(shared.since.get()))
        });
        if open.idle.is_empty() && open.shared.is_empty() && open.opening.is_none() {
            self.0 = None;
        }
    }

    /// Closes the connection that is idle the longest; `false` when none is idle.
    pub(super) fn evict_idle(&mut self) -> bool {
        let Some(open) = &mut self.0 else {
            return false;
        };
        if open.idle.is_empty() {
            let shared = &mut open.shared;
            let idle = shared.iter().position(|shared| shared.streams.get() == 0);
            return idle.map(|index| shared.swap_remove(index)).is_some();
        }
        open.idle.remove(0);
        true
    }

    /// Closes what is idle; shared connections close when their last stream has ended.
    pub fn clear(&mut self) {
        if let Some(open) = &mut self.0 {
            open.idle.clear();
            open.shared.clear();
        }
    }
}

/// Whether a connection has carried as many exchanges as it may; 0: no limit.
pub(super) fn spent(uses: u32, max_uses: u32) -> bool {
    max_uses > 0 && uses >= max_uses
}

//! Peers that vanish: their node lost its power or its network, and nothing ends the connection.
//!
//! The kernel's keepalive finds them on a connection where nothing is on its way. Where bytes wait
//! to be acknowledged it keeps silent, and repeats them for a quarter of an hour.
//! `TCP_USER_TIMEOUT` would end that, and with it each connection whose peer is there and does not
//! read for as long (a closed window counts as silence since Linux 5.11): a slow consumer is no
//! failure. So one look every two seconds, while there are connections, asks the kernel what it
//! heard.

use std::{
    cell::{Cell, RefCell},
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use nix::sys::socket::getsockopt;
use socket2::SockRef;
use tokio::{net::TcpStream, time::sleep};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(2);

thread_local! {
    /// The connections of one worker.
    static WATCHED: RefCell<Vec<Weak<Watched>>> = const { RefCell::new(Vec::new()) };
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

/// Watches one connection for as long as it is kept. To be dropped before its socket is.
#[derive(Debug)]
pub(super) struct Liveness(Rc<Watched>);

#[derive(Debug)]
struct Watched {
    socket: RawFd,
    limit: Duration,
    /// When bytes were first seen to wait, if nothing was heard since.
    waiting_since: Cell<Option<Instant>>,
    vanished: Cell<bool>,
}

impl Liveness {
    /// Gives the peer up when bytes wait for `limit` without a sign of it.
    pub(super) fn watch(socket: &TcpStream, limit: Duration) -> Self {
        let watched = Rc::new(Watched {
            socket: socket.as_raw_fd(),
            limit,
            waiting_since: Cell::new(None),
            vanished: Cell::new(false),
        });
        WATCHED.with_borrow_mut(|all| all.push(Rc::downgrade(&watched)));
        if !LOOKING.replace(true) {
            tokio::task::spawn_local(look());
        }
        Self(watched)
    }

    /// Whether the peer was given up. Its socket is shut down then, and whoever reads or writes
    /// there wakes up.
    pub(super) fn is_lost(&self) -> bool {
        self.0.vanished.get()
    }
}

/// Looks at all, until there is none left.
async fn look() {
    loop {
        sleep(LOOK_EVERY).await;
        let now = Instant::now();
        let is_empty = WATCHED.with_borrow_mut(|all| {
            all.retain(|watched| match watched.upgrade() {
                Some(watched) => {
                    watched.look(now);
                    !watched.vanished.get()
                }
                None => false,
            });
            if all.is_empty() {
                *all = Vec::new();
            }
            all.is_empty()
        });
        if is_empty {
            LOOKING.set(false);
            return;
        }
    }
}

impl Watched {
    fn look(&self, now: Instant) {
        // SAFETY: who holds this `Watched` drops it before the socket (`UpstreamStream`, by the
        // order of its fields), and no other thread has it: the descriptor is open, and the
        // socket's.
        #[allow(unsafe_code)]
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        let Ok(info) = getsockopt(&socket, TcpInfo) else {
            return;
        };
        let heard = Duration::from_millis(info.tcpi_last_ack_recv.into());
        let silent = silence(self.waiting_since.get(), info.tcpi_unacked > 0, heard, now);
        self.waiting_since.set(silent);
        if silent.is_some_and(|since| now.duration_since(since) >= self.limit) {
            self.vanished.set(true);
            let socket = SockRef::from(&socket);
            // Both fail only on a socket that has ended already. With a linger of zero the kernel
            // forgets what it was still repeating.
            let _ = socket.set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Since when bytes wait and the peer is silent: `None` while nothing waits, and from now on if it
/// was heard (`heard` ago) after `since`.
fn silence(
    since: Option<Instant>,
    waiting: bool,
    heard: Duration,
    now: Instant,
) -> Option<Instant> {
    if !waiting {
        return None;
    }
    let still = since.filter(|since| now.saturating_duration_since(*since) <= heard);
    Some(still.unwrap_or(now))
}

#[allow(unsafe_code)]
mod option {
    use nix::{getsockopt_impl, libc, sockopt_impl};

    sockopt_impl!(
        /// What the kernel knows of a TCP connection.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        libc::tcp_info
    );
}
use option::TcpInfo;

#[cfg(test)]
mod tests;

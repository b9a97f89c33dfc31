//! Sockets: one per worker and address (SO_REUSEPORT spreads the connections over the workers
//! in the kernel), and what a redirected connection was meant for.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    time::Duration,
};

use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// Why a listener does not stand.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {error}; look whether another process holds the port, and whether the address is one of this host"
)]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

/// Binds one worker's listener. It may be handed to the worker's runtime later.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    bind_with(address, true)
}

/// Binds a listener that this process shares with no one.
pub fn bind_exclusive(address: SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    bind_with(address, false)
}

fn bind_with(address: SocketAddr, is_shared: bool) -> Result<std::net::TcpListener, ListenError> {
    let bind = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(is_shared)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|error| ListenError { address, error })
}

/// Takes a listener into the current runtime.
pub(super) fn register(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// Sets what every accepted socket has: no Nagle delay, and keepalive that finds a vanished
/// peer after about two minutes.
pub(super) fn tune(stream: &TcpStream) {
    // Both only fail on a socket that is already gone; the first read says so.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// What the peer dialled, if the kernel redirected the connection to us. `None` if it dialled
/// us: also when the recorded destination is our own end, which would be a loop.
pub(super) fn original_destination(stream: &TcpStream, local: SocketAddr) -> Option<SocketAddr> {
    let dialled = match local {
        SocketAddr::V4(_) => {
            let raw = getsockopt(stream, sockopt::OriginalDst).ok()?;
            let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
            SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)))
        }
        SocketAddr::V6(_) => {
            let raw = getsockopt(stream, sockopt::Ip6tOriginalDst).ok()?;
            let ip = raw.sin6_addr.s6_addr.into();
            SocketAddr::V6(SocketAddrV6::new(
                ip,
                u16::from_be(raw.sin6_port),
                0,
                raw.sin6_scope_id,
            ))
        }
    };
    (dialled != local).then_some(dialled)
}

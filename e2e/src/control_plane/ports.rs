//! Ports for servers that cannot be told "any".

use std::net::{Ipv4Addr, TcpListener};

use super::Error;

const TRIES: usize = 64;

/// A port of 127.0.0.1 that nothing listens on now.
///
/// It is chosen below the range from which the kernel takes ports for outgoing connections, so
/// that only another server can take it before it is used; that case the caller tries again.
pub(super) fn free() -> Result<u16, Error> {
    (0..TRIES)
        .map(|_| fastrand::u16(20_000..32_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(Error::NoPort(TRIES))
}

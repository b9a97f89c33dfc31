use std::{fmt, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::Ports;

/// What is tested, left to right, and what happens where all of it is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) tests: Vec<Test>,
    pub(super) action: Action,
}

/// A test of a packet. nat chains see the first one of each connection only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// It is TCP.
    Tcp,
    /// It came in through the loopback device.
    FromLoopback,
    /// It leaves through the loopback device.
    ToLoopback,
    /// Its socket belongs to this user.
    User(u32),
    /// It comes from this address.
    Source(Ipv4Addr),
    /// It goes into this range.
    Destination(Ipv4Net),
    /// It goes to one of these TCP ports; only after [`Test::Tcp`].
    Ports(Ports),
    /// It opens a TCP connection (SYN without ACK); only after [`Test::Tcp`].
    Opens,
}

/// What happens to the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes on as it is.
    Accept,
    /// It is lost.
    Drop,
    /// It goes to this port of this host.
    Redirect(u16),
}

impl Rule {
    pub(super) fn new(tests: impl IntoIterator<Item = Test>, action: Action) -> Self {
        Self {
            tests: tests.into_iter().collect(),
            action,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for test in &self.tests {
            match test {
                Test::Tcp => f.write_str("meta l4proto tcp "),
                Test::FromLoopback => f.write_str("iif lo "),
                Test::ToLoopback => f.write_str("oif lo "),
                Test::User(uid) => write!(f, "meta skuid {uid} "),
                Test::Source(address) => write!(f, "ip saddr {address} "),
                Test::Destination(net) => write!(f, "ip daddr {net} "),
                Test::Ports(ports) => write!(f, "tcp dport {ports} "),
                Test::Opens => f.write_str("tcp flags & (syn | ack) == syn "),
            }?;
        }
        match self.action {
            Action::Accept => f.write_str("accept"),
            Action::Drop => f.write_str("drop"),
            Action::Redirect(port) => write!(f, "redirect to :{port}"),
        }
    }
}

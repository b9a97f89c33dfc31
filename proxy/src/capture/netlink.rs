use std::{io, os::fd::AsRawFd};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
            sendto, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};

use super::{Ruleset, message};

/// How long the kernel may take to answer.
const PATIENCE_SECONDS: i64 = 10;

const NLMSG_ERROR: u16 = 2;

/// Why nothing is captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// No conversation with the kernel.
    #[error(
        "nf_tables cannot be reached over netlink: {0}; the container needs the capability NET_ADMIN, and the kernel nf_tables"
    )]
    Socket(#[source] io::Error),
    /// The kernel refused.
    #[error(
        "the kernel refused the rules (message {sequence}): {source}; the container needs the capability NET_ADMIN, and the kernel nf_tables with nat and redirect"
    )]
    Refused {
        /// Which message of the batch.
        sequence: u32,
        /// What it said.
        source: io::Error,
    },
}

impl CaptureError {
    /// Whether the kernel does not know the address family.
    pub(super) fn is_unsupported(&self) -> bool {
        let Self::Refused { source, .. } = self else {
            return false;
        };
        let code = source.raw_os_error().map(Errno::from_raw);
        matches!(
            code,
            Some(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP)
        )
    }
}

/// Puts a ruleset in the place of its predecessor.
pub(super) fn commit(ruleset: &Ruleset) -> Result<(), CaptureError> {
    let failed = |errno: Errno| CaptureError::Socket(errno.into());
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )
    .map_err(failed)?;
    let kernel = NetlinkAddr::new(0, 0);
    bind(socket.as_raw_fd(), &kernel).map_err(failed)?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::new(PATIENCE_SECONDS, 0),
    )
    .map_err(failed)?;
    let batch = message::batch(ruleset);
    sendto(socket.as_raw_fd(), &batch, &kernel, MsgFlags::empty()).map_err(failed)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).map_err(failed)?;
        match answer(buffer.get(..length).unwrap_or_default()) {
            Some(Answer::Done) => return Ok(()),
            Some(Answer::Refused(sequence, code)) => {
                return Err(CaptureError::Refused {
                    sequence,
                    source: io::Error::from_raw_os_error(code),
                });
            }
            None => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The one message that asked for an acknowledgement was taken, and so the batch.
    Done,
    /// The message with this sequence number was refused, with this error number.
    Refused(u32, i32),
}

/// What one datagram says: the first error, or else the acknowledgement.
pub(super) fn answer(mut datagram: &[u8]) -> Option<Answer> {
    let mut said = None;
    while let Some(((length, kind, sequence), code)) = head(datagram).zip(number(datagram, 16)) {
        if kind == NLMSG_ERROR {
            match i32::from_ne_bytes(code) {
                0 => said = Some(Answer::Done),
                code => return Some(Answer::Refused(sequence, code.saturating_neg())),
            }
        }
        let next = length.max(16).next_multiple_of(4);
        datagram = datagram.get(next..).unwrap_or_default();
    }
    said
}

fn head(message: &[u8]) -> Option<(usize, u16, u32)> {
    let length = u32::from_ne_bytes(number(message, 0)?);
    let kind = u16::from_ne_bytes(number(message, 4)?);
    let sequence = u32::from_ne_bytes(number(message, 8)?);
    Some((usize::try_from(length).ok()?, kind, sequence))
}

fn number<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..at + N)?.try_into().ok()
}

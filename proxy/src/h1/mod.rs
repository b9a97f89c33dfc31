//! HTTP/1.1 on the wire (RFC 9112), for messages that are passed on: heads are parsed once, bodies
//! go through as slices of what was read, and both ends of an exchange live in one task. A
//! connection without a message under way holds no buffer. In flow order:

/// Bytes as they come.
mod input;

/// Bytes on their way out: one write per message where it fits.
mod output;

/// Where a body ends.
mod body;

/// Bodies in chunks.
mod chunked;

/// What makes a message's framing clear, in its fields.
mod fields;

/// Fields that need no map.
mod as_came;

/// The head of a request.
mod request;

/// The head of a response.
mod response;

/// A body on its way out.
mod pump;

/// What a connection and the body of its current request share.
mod wire;

/// The server's side of a connection.
mod server;

/// The client's side of a connection.
mod client;

#[cfg(test)]
mod tests;

pub(crate) use as_came::{AsCame, ResponseFields};
pub(crate) use client::{Connection, ReplyBody, SendFailure};
pub(crate) use input::Input;
pub(crate) use request::{MAX_HEAD, MAX_HEADERS, RequestHead};
pub(crate) use server::{Asked, End, Incoming, Patience, Served};
pub(crate) use wire::RequestBody;

/// Why a message cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The connection ended before the message did.
    #[error("the connection ended before the message did")]
    Truncated,
    /// It is not HTTP/1.
    #[error("{0}")]
    Malformed(&'static str),
    /// The head is larger than what is taken.
    #[error("the head is too large")]
    TooLarge,
    /// The body that was to be sent has another length than its head says.
    #[error("the body has another length than its head says")]
    Length,
}

impl Error {
    /// Whether the peer vanished.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
    }
}

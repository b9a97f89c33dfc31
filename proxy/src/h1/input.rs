//! Bytes as they come. Each worker reads into one scratch buffer that all its connections share;
//! what was read is kept in a buffer of its own size, and only until it is passed on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

use crate::connection::with_scratch;

/// What was read and not yet taken.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub held: Bytes,
    /// The peer sends no more.
    pub ended: bool,
}

impl Input {
    /// Begins with what somebody else has read.
    pub(super) fn new(held: Bytes) -> Self {
        Self { held, ended: false }
    }

    /// Reads once. Gives how many bytes came; 0 at the end.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            if read.is_empty() {
                self.ended = true;
            } else if self.held.is_empty() {
                self.held = Bytes::copy_from_slice(read);
            } else {
                let mut joined = BytesMut::with_capacity(self.held.len() + read.len());
                joined.extend_from_slice(&self.held);
                joined.extend_from_slice(read);
                self.held = joined.freeze();
            }
            Poll::Ready(Ok(read.len()))
        })
    }

    /// Takes up to `limit` bytes.
    pub(super) fn take(&mut self, limit: u64) -> Bytes {
        match usize::try_from(limit) {
            Ok(limit) if limit < self.held.len() => self.held.split_to(limit),
            _ => std::mem::take(&mut self.held),
        }
    }
}

/// Whether a head that was incomplete at `before` bytes may be whole now: an empty line has come.
/// Spares a parse of everything at each byte of a slow peer.
pub(super) fn may_be_whole(bytes: &[u8], before: usize) -> bool {
    let fresh = bytes.get(before.saturating_sub(3)..).unwrap_or_default();
    fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(3).any(|three| three == b"\n\r\n")
}

//! Bytes on their way out. Small pieces are copied behind the head, so that a message is one
//! write; a large one goes out from where it is, in the same vectored write as the head.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::connection::{give_back, lend};

/// Pieces up to this are copied: cheaper than one more element of a vectored write.
pub(super) const COPIED: usize = 16 * 1024;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    at: usize,
    /// After `head`, not copied.
    large: Bytes,
    /// After `large`: the line end of a chunk.
    after: &'static [u8],
    unflushed: bool,
    /// A byte has been written since this was last reset.
    pub written: bool,
}

impl Output {
    /// Where a head, or a small piece, is written.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.head.capacity() == 0 {
            self.head = lend();
        }
        &mut self.head
    }

    /// Whether one more piece may be added before the next write.
    pub(super) fn has_room(&self) -> bool {
        self.large.is_empty() && self.head.len() <= COPIED
    }

    /// Adds a piece, and what comes after it.
    pub(super) fn push(&mut self, piece: Bytes, after: &'static [u8]) {
        if piece.len() <= COPIED {
            let head = self.buffer();
            head.extend_from_slice(&piece);
            head.extend_from_slice(after);
        } else {
            self.large = piece;
            self.after = after;
        }
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.head.len().saturating_sub(self.at) + self.large.len() + self.after.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.large.is_empty() && self.after.is_empty()
    }

    /// Writes everything.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let head = self.head.get(self.at..).unwrap_or_default();
            let stream = Pin::new(&mut *stream);
            let written = if self.large.is_empty() && self.after.is_empty() {
                ready!(stream.poll_write(cx, head))?
            } else {
                let parts = [
                    IoSlice::new(head),
                    IoSlice::new(&self.large),
                    IoSlice::new(self.after),
                ];
                ready!(stream.poll_write_vectored(cx, &parts))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.written = true;
            self.wrote(written);
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, mut bytes: usize) {
        let of_head = bytes.min(self.head.len() - self.at);
        self.at += of_head;
        bytes -= of_head;
        if self.at == self.head.len() {
            // Given back: a connection that waits holds no buffer.
            give_back(std::mem::take(&mut self.head));
            self.at = 0;
        }
        let of_large = bytes.min(self.large.len());
        if of_large == self.large.len() {
            self.large = Bytes::new();
        } else {
            self.large.advance(of_large);
        }
        self.after = self.after.get(bytes - of_large..).unwrap_or_default();
    }
}

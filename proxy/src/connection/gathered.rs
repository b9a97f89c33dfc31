//! Writes of one turn as one write. h2 writes and flushes each frame of data for itself, so eight
//! responses that are ready at once would be eight records and eight system calls.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::scratch;

/// Bytes that are gathered at most; what comes on top waits until they are out.
const LIMIT: usize = 32 * 1024;
/// Larger writes are not copied.
const COPIED: usize = 8 * 1024;

/// A stream whose small writes go out at the end of its task's turn: whoever polls the task calls
/// [`Gathered::poll_out`] after each poll. A flush only says that the bytes are taken.
#[derive(Debug)]
pub(crate) struct Gathered<S>(Rc<RefCell<Gather<S>>>);

#[derive(Debug)]
struct Gather<S> {
    stream: S,
    /// Lent by the worker while bytes wait.
    waiting: Vec<u8>,
    at: usize,
    /// The stream was used in this turn.
    used: bool,
    /// What the stream said at the end of a turn, for whoever writes next.
    failed: Option<io::Error>,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Rc::new(RefCell::new(Gather {
            stream,
            waiting: Vec::new(),
            at: 0,
            used: false,
            failed: None,
        })))
    }

    /// Ends a turn of the task that `cx` is of: sends what it wrote, if it used the stream at all.
    /// What does not go out now goes out in a later turn, for which the task is woken.
    pub(crate) fn poll_out(&self, cx: &mut Context<'_>) {
        let gather = &mut *self.0.borrow_mut();
        if !std::mem::take(&mut gather.used) {
            return;
        }
        if let Poll::Ready(Err(error)) = gather.poll_flush(cx) {
            gather.failed = Some(error);
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Sends what waits.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while let Some(rest @ [_, ..]) = self.waiting.get(self.at..) {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += sent;
        }
        self.at = 0;
        scratch::give_back(std::mem::take(&mut self.waiting));
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Takes `bytes` in, which are `more`; not ready while what waits leaves no room.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        more: usize,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.used = true;
        let is_large = more > COPIED;
        if is_large || self.failed.is_some() || self.waiting.len() + more > LIMIT {
            ready!(self.poll_sent(cx))?;
        }
        if is_large {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        }
        if self.waiting.capacity() == 0 {
            self.waiting = scratch::lend();
        }
        for part in bytes {
            self.waiting.extend_from_slice(part);
        }
        Poll::Ready(Ok(more))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gather = &mut *self.0.borrow_mut();
        gather.used = true;
        Pin::new(&mut gather.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = [io::IoSlice::new(buf)];
        self.0.borrow_mut().poll_take(cx, buf.len(), &bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let more = bufs.iter().map(|part| part.len()).sum();
        self.0.borrow_mut().poll_take(cx, more, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gather = &mut *self.0.borrow_mut();
        gather.used = true;
        Poll::Ready(gather.failed.take().map_or(Ok(()), Err))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gather = &mut *self.0.borrow_mut();
        ready!(gather.poll_sent(cx))?;
        Pin::new(&mut gather.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

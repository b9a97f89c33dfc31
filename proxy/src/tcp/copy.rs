//! Bytes both ways. Each worker reads into one scratch buffer that all its connections share,
//! and writes on from there: a connection holds memory only for what its peer does not take,
//! so an idle one holds none, however many there are.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};

use crate::connection::with_scratch;

/// What was carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes from the first stream to the second.
    pub sent: u64,
    /// Bytes from the second to the first.
    pub received: u64,
}

/// Why a copy did not end with both sides closing.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// No byte in either direction for the idle time-out.
    #[error("no byte in either direction for {0:?}")]
    Idle(Duration),
    /// The first stream (who connected to us) failed.
    #[error("the client's side failed: {0}")]
    Client(io::Error),
    /// The second stream (where we connected to) failed.
    #[error("the server's side failed: {0}")]
    Server(io::Error),
}

impl CopyError {
    /// The response flag.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Idle(_) => "timeout_idle",
            Self::Client(_) => "downstream_reset",
            Self::Server(error) if error.kind() == io::ErrorKind::TimedOut => "upstream_vanished",
            Self::Server(_) => "upstream_reset",
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// Read and not yet taken by the writer.
    held: Vec<u8>,
    at: usize,
    bytes: u64,
    ended: bool,
    shut: bool,
    unflushed: bool,
}

enum Side {
    Reader(io::Error),
    Writer(io::Error),
}

impl Half {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut reader: Pin<&mut impl AsyncRead>,
        mut writer: Pin<&mut impl AsyncWrite>,
    ) -> Poll<Result<(), Side>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        loop {
            while let Some(rest) = self.held.get(self.at..)
                && !rest.is_empty()
            {
                let written = ready!(write(cx, writer.as_mut(), rest))?;
                self.wrote(written);
                self.at += written;
            }
            if self.at > 0 {
                self.held = Vec::new();
                self.at = 0;
            }
            if self.ended {
                ready!(writer.as_mut().poll_shutdown(cx)).map_err(Side::Writer)?;
                self.shut = true;
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(scratch);
            match reader.as_mut().poll_read(cx, &mut buffer) {
                Poll::Pending => {
                    if self.unflushed {
                        ready!(writer.as_mut().poll_flush(cx)).map_err(Side::Writer)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Side::Reader(error))),
                Poll::Ready(Ok(())) => {}
            }
            let mut fresh = buffer.filled();
            self.ended = fresh.is_empty();
            while !fresh.is_empty() {
                match write(cx, writer.as_mut(), fresh) {
                    Poll::Ready(Ok(written)) => {
                        self.wrote(written);
                        fresh = fresh.get(written..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        self.held = fresh.to_vec();
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.unflushed = true;
    }
}

fn write(
    cx: &mut Context<'_>,
    writer: Pin<&mut impl AsyncWrite>,
    bytes: &[u8],
) -> Poll<Result<usize, Side>> {
    match ready!(writer.poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(Side::Writer(io::ErrorKind::WriteZero.into()))),
        Ok(written) => Poll::Ready(Ok(written)),
        Err(error) => Poll::Ready(Err(Side::Writer(error))),
    }
}

/// Copies until both sides have closed, one fails, or `idle` passes without a byte (zero: no
/// limit). The end of one direction is passed on and the other goes on.
pub async fn copy_both(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    idle: Duration,
) -> (Copied, Result<(), CopyError>) {
    let mut up = Half::default();
    let mut down = Half::default();
    let result = if idle.is_zero() {
        poll_fn(|cx| poll_both(cx, client, server, &mut up, &mut down)).await
    } else {
        let mut last = Instant::now();
        let mut seen = 0;
        let mut timer = std::pin::pin!(sleep_until(last + idle));
        poll_fn(|cx| {
            if let Poll::Ready(result) = poll_both(cx, client, server, &mut up, &mut down) {
                return Poll::Ready(result);
            }
            if up.bytes + down.bytes != seen {
                seen = up.bytes + down.bytes;
                last = Instant::now();
            }
            // The timer is moved when it fires, not with every byte.
            while timer.as_mut().poll(cx).is_ready() {
                if last.elapsed() >= idle {
                    return Poll::Ready(Err(CopyError::Idle(idle)));
                }
                timer.as_mut().reset(last + idle);
            }
            Poll::Pending
        })
        .await
    };
    let copied = Copied {
        sent: up.bytes,
        received: down.bytes,
    };
    (copied, result)
}

fn poll_both(
    cx: &mut Context<'_>,
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    up: &mut Half,
    down: &mut Half,
) -> Poll<Result<(), CopyError>> {
    with_scratch(|scratch| {
        let upward = up.poll(cx, scratch, Pin::new(client), Pin::new(server));
        if let Poll::Ready(Err(error)) = upward {
            return Poll::Ready(Err(match error {
                Side::Reader(error) => CopyError::Client(error),
                Side::Writer(error) => CopyError::Server(error),
            }));
        }
        let downward = down.poll(cx, scratch, Pin::new(server), Pin::new(client));
        if let Poll::Ready(Err(error)) = downward {
            return Poll::Ready(Err(match error {
                Side::Reader(error) => CopyError::Server(error),
                Side::Writer(error) => CopyError::Client(error),
            }));
        }
        if upward.is_ready() && downward.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
}

#[cfg(test)]
mod tests;

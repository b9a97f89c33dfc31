//! Request smuggling, stopped before the parser.
//!
//! A request with both Content-Length and Transfer-Encoding means one thing to one server and
//! another to the next. hyper takes such a request (by Transfer-Encoding, as RFC 9112 6.3 allows)
//! and drops the evidence, so it is looked for here, in the bytes: the head of such a request is
//! spoiled, and the parser refuses it with 400 and closes.
//!
//! The guard follows the framing of the requests on a connection: head, body, head … It also
//! says since when a head is incomplete, for the slow-header time-out.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use frames::Frames;

mod frames;
#[cfg(test)]
mod tests;

/// What the guard tells the connection's watchdog. Atomic only because hyper wants streams that
/// could be sent to another thread; they never are.
#[derive(Debug)]
pub(super) struct Progress {
    origin: Instant,
    /// Milliseconds since `origin`, plus one, at which the incomplete head began; 0: none.
    head_began: AtomicU64,
    /// The connection has left HTTP.
    released: AtomicBool,
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            head_began: AtomicU64::new(0),
            released: AtomicBool::new(false),
        })
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The connection leaves HTTP: what follows is not looked at.
    pub(super) fn release(&self) {
        self.released.store(true, Relaxed);
    }

    /// For how many milliseconds a head has been incomplete.
    pub(super) fn head_pending(&self) -> Option<u64> {
        let began = self.head_began.load(Relaxed).checked_sub(1)?;
        Some(self.millis().saturating_sub(began))
    }
}

/// What follows the framing.
#[derive(Debug)]
enum Follower {
    Http1(Scanner),
    Http2(Frames),
}

impl Follower {
    fn is_spoiled(&self) -> bool {
        matches!(self, Self::Http1(scanner) if scanner.state == State::Spoiled)
    }

    /// Whether a head is incomplete now, and whether another ended before.
    fn follow(&mut self, bytes: &mut [u8]) -> (bool, bool) {
        match self {
            Self::Http1(scanner) => {
                scanner.scan(bytes);
                (scanner.in_head(), scanner.take_head_ended())
            }
            Self::Http2(frames) => {
                frames.scan(bytes);
                (frames.in_head(), frames.take_head_ended())
            }
        }
    }
}

/// A stream of requests, watched.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    follower: Follower,
    /// What a spoiled head is ended with.
    ending: Bytes,
    progress: Arc<Progress>,
}

impl<S> Guarded<S> {
    /// Follows the framing of HTTP/2, or of HTTP/1.1.
    pub(super) fn new(inner: S, http2: bool) -> (Self, Arc<Progress>) {
        let progress = Progress::new();
        let follower = if http2 {
            Follower::Http2(Frames::default())
        } else {
            Follower::Http1(Scanner::default())
        };
        (
            Self {
                inner,
                follower,
                ending: Bytes::from_static(b"\r\n\r\n"),
                progress: progress.clone(),
            },
            progress,
        )
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.follower.is_spoiled() {
            // A parser that had the beginning of the head from an earlier read looks at the rest
            // only once it sees an end. After it, whatever the peer sends is not read.
            let length = this.ending.len().min(buf.remaining());
            buf.put_slice(&this.ending.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let Some(read) = buf.filled_mut().get_mut(before..) else {
            return Poll::Ready(Ok(()));
        };
        if !read.is_empty() && !this.progress.released.load(Relaxed) {
            let now = this.progress.millis();
            let (pending, ended) = this.follower.follow(read);
            let began = this.progress.head_began.load(Relaxed);
            if pending != (began > 0) || ended {
                let value = if pending { now.saturating_add(1) } else { 0 };
                this.progress.head_began.store(value, Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A header line's beginning is kept up to here: enough for the names and values that matter.
const LINE: usize = 64;

/// Where in the framing the bytes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a head (or in the empty lines before it).
    Head,
    /// In a body of so many more bytes.
    Length(u64),
    /// In a chunk-size line; the size so far, and whether its digits have ended.
    ChunkSize(u64, bool),
    /// In a chunk of so many more bytes, its line end included.
    Chunk(u64),
    /// In the trailers.
    Trailers,
    /// In a connection whose head was spoiled: the parser will refuse it and close.
    Spoiled,
}

#[derive(Debug)]
struct Scanner {
    state: State,
    line: [u8; LINE],
    line_length: usize,
    lines: u32,
    content_length: Option<u64>,
    has_length: bool,
    has_encoding: bool,
    head_ended: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Head,
            line: [0; LINE],
            line_length: 0,
            lines: 0,
            content_length: None,
            has_length: false,
            has_encoding: false,
            head_ended: false,
        }
    }
}

impl Scanner {
    /// Whether a head has begun and not ended.
    fn in_head(&self) -> bool {
        self.state == State::Head && (self.lines > 0 || self.line_length > 0)
    }

    /// Whether a head has ended since the last call.
    fn take_head_ended(&mut self) -> bool {
        std::mem::take(&mut self.head_ended)
    }

    /// Follows the framing over `bytes`; spoils the end of a head that must be refused.
    fn scan(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.state {
                State::Spoiled => return,
                State::Length(left) | State::Chunk(left) => {
                    let step = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let left = left - step as u64;
                    self.state = match self.state {
                        State::Chunk(_) if left == 0 => State::ChunkSize(0, false),
                        State::Chunk(_) => State::Chunk(left),
                        _ if left == 0 => State::Head,
                        _ => State::Length(left),
                    };
                    rest = rest.get_mut(step..).unwrap_or_default();
                }
                State::Head | State::Trailers | State::ChunkSize(..) => {
                    let Some((first, tail)) = rest.split_first_mut() else {
                        return;
                    };
                    match self.state {
                        State::ChunkSize(size, ended) => self.chunk_size(*first, size, ended),
                        State::Trailers => self.trailer(*first),
                        _ => self.head(first),
                    }
                    rest = tail;
                }
            }
        }
    }

    fn chunk_size(&mut self, byte: u8, size: u64, ended: bool) {
        self.state = match byte {
            // The chunk's own CRLF follows its data. A bare LF is not taken by the parser.
            b'\n' if size == 0 => State::Trailers,
            b'\n' => State::Chunk(size.saturating_add(2)),
            _ if ended => State::ChunkSize(size, true),
            _ => match char::from(byte).to_digit(16) {
                Some(digit) => State::ChunkSize(
                    size.saturating_mul(16).saturating_add(u64::from(digit)),
                    false,
                ),
                None => State::ChunkSize(size, true),
            },
        };
    }

    fn trailer(&mut self, byte: u8) {
        match byte {
            b'\n' if self.line_length == 0 => {
                *self = Self::default();
            }
            b'\n' => self.line_length = 0,
            b'\r' => {}
            _ => self.line_length = 1,
        }
    }

    fn head(&mut self, byte: &mut u8) {
        match *byte {
            b'\n' if self.line_length == 0 => {
                if self.lines > 0 {
                    self.end_head(byte);
                }
            }
            b'\n' => {
                self.end_line();
                self.lines = self.lines.saturating_add(1);
                self.line_length = 0;
            }
            b'\r' => {}
            other => {
                if let Some(slot) = self.line.get_mut(self.line_length) {
                    *slot = other;
                }
                self.line_length = self.line_length.saturating_add(1);
            }
        }
    }

    fn end_line(&mut self) {
        if self.lines == 0 {
            return;
        }
        let line = self
            .line
            .get(..self.line_length.min(LINE))
            .unwrap_or_default();
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = line.split_at(colon);
        // Space before the colon is refused by the parser; trimming it only errs on the side of
        // refusing.
        let name = name.trim_ascii();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.has_length = true;
            // A value that was cut is a number that we did not see.
            let whole = self.line_length <= LINE;
            self.content_length = std::str::from_utf8(value)
                .ok()
                .filter(|_| whole)
                .and_then(|value| value.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.has_encoding = true;
        }
    }

    fn end_head(&mut self, last: &mut u8) {
        let unclear = self.has_length && (self.has_encoding || self.content_length.is_none());
        let state = if unclear {
            // A NUL instead of the last line feed: no parser takes that.
            *last = 0;
            State::Spoiled
        } else if self.has_encoding {
            State::ChunkSize(0, false)
        } else {
            match self.content_length {
                None | Some(0) => State::Head,
                Some(length) => State::Length(length),
            }
        };
        *self = Self {
            state,
            head_ended: true,
            ..Self::default()
        };
    }
}

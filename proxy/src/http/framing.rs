//! Header blocks of HTTP/2 that do not end. h2 bounds a block's bytes and frames, but not its
//! time, so the frames are followed in the bytes, beside the parser, and the connection's watchdog
//! is told since when a block is incomplete.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use frames::Frames;

mod frames;

/// What the guard tells the connection's watchdog. Atomic only because hyper wants streams that
/// could be sent to another thread; they never are.
#[derive(Debug)]
pub(super) struct Progress {
    origin: Instant,
    /// Milliseconds since `origin`, plus one, at which the incomplete block began; 0: none.
    head_began: AtomicU64,
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            head_began: AtomicU64::new(0),
        })
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// For how many milliseconds a block has been incomplete.
    pub(super) fn head_pending(&self) -> Option<u64> {
        let began = self.head_began.load(Relaxed).checked_sub(1)?;
        Some(self.millis().saturating_sub(began))
    }
}

/// A stream of frames, watched.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    frames: Frames,
    progress: Arc<Progress>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S) -> (Self, Arc<Progress>) {
        let progress = Progress::new();
        let guarded = Self {
            inner,
            frames: Frames::default(),
            progress: progress.clone(),
        };
        (guarded, progress)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            this.frames.scan(read);
            let pending = this.frames.in_head();
            let ended = this.frames.take_head_ended();
            let began = this.progress.head_began.load(Relaxed);
            if pending != (began > 0) || ended {
                let now = this.progress.millis();
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

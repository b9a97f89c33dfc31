//! The bytes of a connection to an endpoint: plain, or inside mesh TLS. One type, so that a
//! protocol is compiled once.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::liveness::Liveness;
use crate::connection::Prefixed;

/// A connection to an endpoint. A peer that vanished is an error of the kind `TimedOut`.
#[derive(Debug)]
pub struct UpstreamStream {
    // First: it is to be dropped before the socket.
    liveness: Option<Liveness>,
    bytes: Either<TcpStream, Box<TlsStream<Prefixed<TcpStream>>>>,
}

impl UpstreamStream {
    /// To an endpoint outside the mesh, or to the local application.
    pub fn plain(socket: TcpStream) -> Self {
        Self {
            liveness: None,
            bytes: Either::Left(socket),
        }
    }

    /// Mesh TLS.
    pub fn tls(stream: TlsStream<Prefixed<TcpStream>>) -> Self {
        Self {
            liveness: None,
            bytes: Either::Right(Box::new(stream)),
        }
    }

    /// Gives the peer up when it takes no byte and says nothing for `limit`.
    pub(super) fn watched(mut self, limit: Duration) -> Self {
        self.liveness = Some(Liveness::watch(self.socket(), limit));
        self
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match &self.bytes {
            Either::Left(socket) => socket,
            Either::Right(stream) => stream.get_ref().0.inner(),
        }
    }

    /// What an end or a failure of the bytes means: whether it was this side that gave up.
    fn lost(&self) -> io::Result<()> {
        match &self.liveness {
            Some(liveness) if liveness.is_lost() => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Either::Right(stream) = &self.bytes {
            let (socket, session) = stream.get_ref();
            if session.wants_read() && socket.is_quiet(cx) {
                return Poll::Pending;
            }
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.bytes).poll_read(cx, buf));
        if read.is_err() || buf.filled().len() == before {
            self.lost()?;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.bytes).poll_write(cx, buf));
        Poll::Ready(written.or_else(|error| self.lost().and(Err(error))))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.bytes).poll_write_vectored(cx, bufs));
        Poll::Ready(written.or_else(|error| self.lost().and(Err(error))))
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}

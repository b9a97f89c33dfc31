//! A connection, from its first byte to its drain.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::{Pin, pin},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::AsyncReadExt, time::sleep};

use super::{
    context::Context, exchange::exchange, executor::LocalExecutor, framing::Guarded,
    unread::Unread, validate::MAX_HEADERS,
};
use crate::{
    connection::{ConnectionInfo, Prefixed, Stream},
    worker::Worker,
};

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;
/// How long a connection may stand without a request.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How often a connection is looked after, at least.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How long a connection may take to end once it was asked to for being idle.
const LINGER: Duration = Duration::from_secs(5);

/// HTTP/2: streams of one connection at once.
const MAX_STREAMS: u32 = 256;
/// HTTP/2: streams that the peer reset and that we have not taken up yet, and resets that we had
/// to send for its errors, before the connection is ended: "rapid reset" (CVE-2023-44487) and
/// "MadeYouReset" (CVE-2025-8671).
const MAX_RESETS: usize = 64;
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const SEND_BUFFER: usize = 512 * 1024;

/// The begin of the HTTP/2 preface that no HTTP/1.1 request shares.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/2 if the connection begins with its preface, else HTTP/1.1.
    Auto,
}

/// Serves a connection to its end: drain, time-outs and every refusal included.
pub async fn serve(
    worker: Rc<Worker>,
    connection: ConnectionInfo,
    mut stream: Stream,
    version: Version,
) {
    let (http2, prefix) = if version == Version::Http1 {
        (false, Bytes::new())
    } else {
        let within = worker.bootstrap.header_timeout;
        match tokio::time::timeout(within, detect(&mut stream)).await {
            Ok(Ok((http2, prefix))) if http2 || version == Version::Auto => (http2, prefix),
            // Nobody to answer: the peer is gone, never said a word, or does not speak the
            // HTTP/2 that its ALPN promised.
            _ => return,
        }
    };
    let stream = Prefixed::new(prefix, stream);
    let (stream, progress) = Guarded::new(stream, http2);
    let io = TokioIo::new(stream);
    let context = Context::new(worker, connection, progress);
    let service = {
        let context = context.clone();
        service_fn(move |request| {
            let context = context.clone();
            async move { Ok::<_, Infallible>(exchange(context, request).await) }
        })
    };
    let ended = if http2 {
        let served = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(Duration::from_secs(60))
            .keep_alive_timeout(Duration::from_secs(20))
            .serve_connection(io, service);
        watch(&context, served).await
    } else {
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            // The watchdog tells a slow head from an idle connection; hyper's timer does not.
            .header_read_timeout(None)
            // A client that closes is gone: what it asked for is cancelled on both sides.
            .half_close(false)
            .serve_connection(io, service)
            .with_upgrades();
        watch(&context, served).await
    };
    let unread = match &ended {
        Ended::Served(Ok(())) => None,
        Ended::Served(Err(error)) => {
            tracing::debug!(peer = %context.connection.peer, %error, "connection ended early");
            Unread::of(error, http2)
        }
        Ended::SlowHead => Some(Unread::SlowHead),
    };
    if let Some(unread) = unread {
        unread.tell(&context, http2);
    }
}

/// Reads until it is clear whether this is HTTP/2's preface.
async fn detect(stream: &mut Stream) -> io::Result<(bool, Bytes)> {
    let mut read = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok((false, read.freeze()));
        }
        let length = read.len().min(PREFACE.len());
        if read.get(..length) != PREFACE.get(..length) {
            return Ok((false, read.freeze()));
        }
        if length == PREFACE.len() {
            return Ok((true, read.freeze()));
        }
    }
}

/// A served connection that can be asked to end.
trait Served: Future<Output = hyper::Result<()>> {
    fn end(self: Pin<&mut Self>);
}

impl<I, B, S> Served for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S> Served for http2::Connection<I, S, LocalExecutor>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// How a connection ended.
enum Ended {
    Served(hyper::Result<()>),
    /// It was dropped, for a head took too long.
    SlowHead,
}

/// Drives a connection, asks it to end when the process drains or nothing comes any more, and
/// drops it when a head takes too long.
async fn watch(context: &Context, served: impl Served) -> Ended {
    let mut served = pin!(served);
    let drain = context.worker.drain.clone();
    let mut draining = pin!(drain.started());
    let mut ending: Option<Instant> = None;
    let mut drained = false;
    let head_within = context.worker.bootstrap.header_timeout;
    let watch_every = WATCH_EVERY
        .min(head_within / 4)
        .max(Duration::from_millis(50));
    let head_within = u64::try_from(head_within.as_millis()).unwrap_or(u64::MAX);
    loop {
        tokio::select! {
            biased;
            ended = &mut served => return Ended::Served(ended),
            () = &mut draining, if !drained => {
                drained = true;
                served.as_mut().end();
            }
            () = sleep(watch_every) => {
                if context.progress.head_pending().is_some_and(|pending| pending > head_within) {
                    return Ended::SlowHead;
                }
                match (ending, context.idle_since()) {
                    (Some(asked), _) if asked.elapsed() > LINGER => return Ended::Served(Ok(())),
                    (None, Some(since)) if since.elapsed() > IDLE => {
                        ending = Some(Instant::now());
                        served.as_mut().end();
                    }
                    _ => {}
                }
            }
        }
    }
}

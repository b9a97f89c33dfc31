//! HTTP/2: many requests at once, each in a task of its own.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::AsyncWrite, time::sleep};

use super::IDLE;
use crate::{
    connection::{Gathered, Prefixed, Stream},
    h1::MAX_HEAD,
    http::{
        context::Context,
        exchange::exchange,
        executor::LocalExecutor,
        framing::{Guarded, Progress},
        incoming::ClientBody,
        unread::Unread,
    },
};

/// How often a connection is looked after, at least.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How long a connection may take to end once it was asked to for being idle.
const LINGER: Duration = Duration::from_secs(5);

/// Streams of one connection at once.
const MAX_STREAMS: u32 = 256;
/// Streams that the peer reset and that we have not taken up yet, and resets that we had to send
/// for its errors, before the connection is ended: "rapid reset" (CVE-2023-44487) and
/// "MadeYouReset" (CVE-2025-8671).
const MAX_RESETS: usize = 64;
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const SEND_BUFFER: usize = 512 * 1024;

/// Serves a connection to its end; gives what came at last and could not be read.
pub(super) async fn serve(context: &Rc<Context>, stream: Stream, prefix: Bytes) -> Option<Unread> {
    let (stream, progress) = Guarded::new(Prefixed::new(prefix, stream));
    let stream = Gathered::new(stream);
    let service = service_fn(|request| {
        let context = context.clone();
        async move {
            let (parts, body) = http::Request::into_parts(request);
            // Boxed: it becomes a task, which is moved several times on its way to its place.
            let exchange = Box::pin(exchange(context, parts, ClientBody::Http2(body)));
            Ok::<_, Infallible>(exchange.await)
        }
    });
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
        .serve_connection(TokioIo::new(stream.clone()), service);
    match watch(context, &progress, served, &stream).await {
        Ended::Served(Ok(())) => None,
        Ended::Served(Err(error)) => {
            tracing::debug!(peer = %context.connection.peer, %error, "connection ended early");
            Unread::of(&error)
        }
        Ended::SlowHead => Some(Unread::SlowHead),
    }
}

/// A served connection that can be asked to end.
trait Served: Future<Output = hyper::Result<()>> {
    fn end(self: Pin<&mut Self>);
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
async fn watch<S: AsyncWrite + Unpin>(
    context: &Context,
    progress: &Progress,
    served: impl Served,
    stream: &Gathered<S>,
) -> Ended {
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
            ended = poll_fn(|cx| {
                let polled = served.as_mut().poll(cx);
                stream.poll_out(cx);
                polled
            }) => return Ended::Served(ended),
            () = &mut draining, if !drained => {
                drained = true;
                served.as_mut().end();
            }
            () = sleep(watch_every) => {
                if progress.head_pending().is_some_and(|pending| pending > head_within) {
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

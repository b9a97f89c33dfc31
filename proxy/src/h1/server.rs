//! The server's side of a connection: requests in, one response for each.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Response, Version, request::Parts};
use http_body::Body;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    AsCame, Error, MAX_HEAD,
    body::Framing,
    fields,
    input::{Input, may_be_whole},
    output::Output,
    pump::{Broken, Filled, Pump},
    request,
    response::{self, Wanted},
    wire::{DISCARDED, RequestBody, Wire},
};
use crate::{connection::Stream, timer::Timer};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// How long a client may take nothing of its response.
const STALLED: Duration = Duration::from_secs(5 * 60);
/// How long a connection is read before it is closed, so that the client sees its answer and no
/// reset.
const LINGER: Duration = Duration::from_millis(500);

/// How long a connection waits for its next request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For its begin.
    pub idle: Duration,
    /// From its begin to the end of its head.
    pub head: Duration,
    /// For its begin once the process drains: a request that is on its way when the connection
    /// is closed under it is lost, unless it may be repeated.
    pub draining: Duration,
}

/// A connection that requests come on.
#[derive(Debug)]
pub(crate) struct Incoming {
    wire: Rc<RefCell<Wire>>,
    timer: Timer,
    /// Since when the process drains.
    drained: Option<Instant>,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub parts: Parts,
    /// `None`: it has none.
    pub body: Option<RequestBody>,
    /// What is needed to answer it.
    pub answer: Answer,
}

/// What is needed to answer a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    version: Version,
    no_body: bool,
    trailers: bool,
    keep_alive: bool,
}

/// Why no further request came on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client left, or is to leave because the process drains or it was idle for too long.
    Left,
    /// A head took longer than it may.
    SlowHead,
    /// What came is no request; the status that it was answered with.
    Refused(u16),
}

/// Why no request came.
enum Stop {
    Ended,
    Slow,
    Bad(Error),
}

/// How a request was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The connection takes another.
    Next,
    /// The connection is closed.
    Closed,
}

impl Incoming {
    /// `prefix`: what was already read.
    pub(crate) fn new(stream: Stream, prefix: Bytes) -> Self {
        Self {
            wire: Rc::new(RefCell::new(Wire {
                stream,
                input: Input::new(prefix),
                framing: Framing::NONE,
                interim: b"",
            })),
            timer: Timer::default(),
            drained: None,
        }
    }

    /// Waits for a request. `draining` resolves once the process drains.
    pub(crate) async fn next(
        &mut self,
        mut draining: Pin<&mut impl Future<Output = ()>>,
        patience: Patience,
    ) -> Result<Asked, End> {
        let began = Instant::now();
        let mut head_began = None;
        let mut seen = 0;
        let mut skipped = 0;
        let wire = &self.wire;
        let timer = &mut self.timer;
        let drained = &mut self.drained;
        let received = poll_fn(|cx| {
            let wire = &mut *wire.borrow_mut();
            loop {
                // Empty lines before a request (RFC 9112 2.2).
                while let [b'\r' | b'\n', ..] = *wire.input.held {
                    wire.input.take(1);
                    skipped += 1;
                }
                let held = &mut wire.input.held;
                if !held.is_empty() && (seen == 0 || may_be_whole(held, seen)) {
                    match request::parse(held) {
                        Ok(Some(received)) => return Poll::Ready(Ok(received)),
                        Ok(None) => {}
                        Err(error) => return Poll::Ready(Err(Stop::Bad(error))),
                    }
                }
                seen = held.len();
                if seen + skipped > MAX_HEAD {
                    return Poll::Ready(Err(Stop::Bad(Error::TooLarge)));
                }
                if seen > 0 && head_began.is_none() {
                    head_began = Some(Instant::now());
                }
                match wire.input.poll_fill(cx, &mut wire.stream) {
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(_) => return Poll::Ready(Err(Stop::Ended)),
                    Poll::Pending => {}
                }
                if let Some(began) = head_began {
                    ready!(timer.poll(cx, began + patience.head));
                    return Poll::Ready(Err(Stop::Slow));
                }
                if drained.is_none() && draining.as_mut().poll(cx).is_ready() {
                    *drained = Some(Instant::now());
                }
                let idle_ends = began + patience.idle;
                let until = drained.map_or(idle_ends, |since| since + patience.draining);
                ready!(timer.poll(cx, until.min(idle_ends)));
                return Poll::Ready(Err(Stop::Ended));
            }
        })
        .await;
        match received {
            Ok(received) => Ok(self.begin(received)),
            Err(Stop::Bad(error)) => {
                let status = match error {
                    Error::TooLarge => 431,
                    _ => 400,
                };
                self.refuse(status).await;
                Err(End::Refused(status))
            }
            Err(Stop::Slow) => Err(End::SlowHead),
            Err(Stop::Ended) => Err(End::Left),
        }
    }

    fn begin(&mut self, received: request::Received) -> Asked {
        let parts = received.parts;
        let has_body = !received.framing.is_ended();
        let mut wire = self.wire.borrow_mut();
        wire.framing = received.framing;
        wire.interim = if has_body && received.expects_continue {
            CONTINUE
        } else {
            b""
        };
        drop(wire);
        Asked {
            body: has_body.then(|| RequestBody(self.wire.clone())),
            answer: Answer {
                version: parts.version,
                no_body: parts.method == Method::HEAD,
                trailers: received.takes_trailers,
                keep_alive: received.keep_alive,
            },
            parts,
        }
    }

    /// Runs `exchange` for as long as the client is there; `None`: it left.
    pub(crate) async fn while_there<T>(&self, exchange: impl Future<Output = T>) -> Option<T> {
        let mut exchange = pin!(exchange);
        poll_fn(|cx| {
            if let Poll::Ready(answer) = exchange.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            self.wire.borrow_mut().poll_gone(cx).map(|()| None)
        })
        .await
    }

    /// Sends the response to its end: the fields that came, then its own. `last`: no further request
    /// is taken.
    pub(crate) async fn respond<B>(
        &mut self,
        response: Response<B>,
        came: Option<AsCame>,
        answer: Answer,
        last: bool,
    ) -> Served
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (parts, body) = response.into_parts();
        // A body that nobody will read any more, and that is not all there, ends the connection:
        // the client is told, and need not find out with its next request.
        let left = Rc::strong_count(&self.wire) == 1 && !self.discard().await;
        let mut output = Output::default();
        let wanted = Wanted {
            version: answer.version,
            no_body: answer.no_body,
            trailers: answer.trailers,
        };
        let (encoder, keep_alive) = response::write(
            output.buffer(),
            &parts,
            came.as_ref(),
            body.size_hint().exact(),
            wanted,
            answer.keep_alive && !last && !left,
        );
        drop((parts, came));
        self.wire.borrow_mut().interim = b"";
        let mut pump = Pump::new(body, encoder);
        let mut stalled = None;
        let timer = &mut self.timer;
        let sent = poll_fn(|cx| {
            loop {
                let filled = match pump.fill(cx, &mut output) {
                    Ok(filled) => filled,
                    // What came so far is still sent: the client sees a message without an end.
                    Err(Broken::Body(_) | Broken::Length) => {
                        let wire = &mut *self.wire.borrow_mut();
                        let _ = output.poll_flush(cx, &mut wire.stream);
                        return Poll::Ready(false);
                    }
                };
                let wire = &mut *self.wire.borrow_mut();
                match output.poll_flush(cx, &mut wire.stream) {
                    Poll::Ready(Ok(())) => stalled = None,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => {
                        let since = *stalled.get_or_insert_with(Instant::now);
                        if wire.poll_gone(cx).is_pending() {
                            ready!(timer.poll(cx, since + STALLED));
                        }
                        return Poll::Ready(false);
                    }
                }
                match filled {
                    Filled::Ended => return Poll::Ready(true),
                    Filled::Full => {}
                    Filled::Pending => return wire.poll_gone(cx).map(|()| false),
                }
            }
        })
        .await;
        if !sent {
            return Served::Closed;
        }
        let whole = self.discard().await;
        if keep_alive && whole {
            return Served::Next;
        }
        self.close(!whole).await;
        Served::Closed
    }

    /// Reads what is there of a body that nobody takes; whether it has ended.
    async fn discard(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.wire.borrow_mut().discard(cx))).await
    }

    /// Answers what is no request, and closes.
    async fn refuse(&mut self, status: u16) {
        let mut output = Output::default();
        let reason = if status == 431 {
            "Request Header Fields Too Large"
        } else {
            "Bad Request"
        };
        let head =
            format!("HTTP/1.1 {status} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        output.push(Bytes::from(head), b"");
        let flush = poll_fn(|cx| {
            let wire = &mut *self.wire.borrow_mut();
            output.poll_flush(cx, &mut wire.stream)
        });
        let _ = tokio::time::timeout(LINGER, flush).await;
        self.close(true).await;
    }

    /// Closes. `more`: the client may still be sending, and what arrives after the socket is
    /// closed would reset the connection before the answer was read.
    async fn close(&mut self, more: bool) {
        let closing = poll_fn(|cx| {
            let wire = &mut *self.wire.borrow_mut();
            ready!(Pin::new(&mut wire.stream).poll_shutdown(cx))?;
            let mut left = if more { 16 * DISCARDED } else { 0 };
            while left > 0 && !wire.input.ended {
                wire.input.held = Bytes::new();
                let read = ready!(wire.input.poll_fill(cx, &mut wire.stream))?;
                left = left.saturating_sub(read);
            }
            Poll::Ready(io::Result::Ok(()))
        });
        let _ = tokio::time::timeout(LINGER, closing).await;
    }

    /// Sends the head of a response that switches protocols, and gives the connection back: what
    /// was read of the new protocol, and the stream. `None`: it failed, or a body is still held.
    pub(crate) async fn switch<B>(self, response: &Response<B>) -> Option<(Bytes, Stream)> {
        let mut out = Vec::new();
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in response.headers() {
            fields::write(&mut out, name.as_str().as_bytes(), value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        let mut wire = Rc::try_unwrap(self.wire).ok()?.into_inner();
        wire.stream.write_all(&out).await.ok()?;
        wire.stream.flush().await.ok()?;
        Some((wire.input.held, wire.stream))
    }
}

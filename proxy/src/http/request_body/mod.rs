//! Request bodies: streamed, and up to `MAX_KEPT` bytes of them kept for a replay until there is
//! a response.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{headers::strip_trailers, incoming::ClientBody};
use crate::{h1, timer::Timer};

#[cfg(test)]
mod tests;

/// Bytes of a body that are kept for a replay; a longer one is sent once.
pub(super) const MAX_KEPT: usize = 64 * 1024;

/// What may go wrong with a request body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    /// The client's connection.
    #[error("the client ended its request: {0}")]
    Http1(#[from] h1::Error),
    /// The client's connection, in HTTP/2.
    #[error("the client ended its request: {0}")]
    Http2(#[from] hyper::Error),
    /// A later attempt took the body over.
    #[error("a later attempt sends this request")]
    Superseded,
}

impl From<Infallible> for RequestBodyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// When a byte last went in either direction, and whether the client broke its request off; and
/// the exchange's one timer.
#[derive(Clone, Debug)]
pub(super) struct Activity(Rc<Moments>);

#[derive(Debug)]
struct Moments {
    last: Cell<Instant>,
    client_failed: Cell<bool>,
    timer: RefCell<Timer>,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self(Rc::new(Moments {
            last: Cell::new(now),
            client_failed: Cell::new(false),
            timer: RefCell::default(),
        }))
    }

    /// Whether no exchange uses it any more, but for whoever asks.
    pub(super) fn is_free(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// Begins anew for another exchange.
    pub(super) fn again(&self, now: Instant) {
        self.0.last.set(now);
        self.0.client_failed.set(false);
    }

    /// Ready once `deadline` is over.
    pub(super) fn poll_until(&self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.0.timer.borrow_mut().poll(cx, deadline)
    }

    pub(super) fn touch(&self) {
        self.0.last.set(Instant::now());
    }

    pub(super) fn last(&self) -> Instant {
        self.0.last.get()
    }

    /// Whether the request's body ended in an error: what became of the exchange then says
    /// nothing about the endpoint, or any client could have it ejected.
    pub(super) fn client_failed(&self) -> bool {
        self.0.client_failed.get()
    }
}

/// The body as it comes from the client; attempts take turns in sending it.
#[derive(Debug)]
pub(super) struct Upload<B = ClientBody> {
    /// `None`: the request has no body.
    shared: Option<Rc<Shared<B>>>,
}

#[derive(Debug)]
struct Shared<B> {
    source: RefCell<Source<B>>,
    /// The attempt whose turn it is.
    turn: Cell<u32>,
    bytes: Rc<Cell<u64>>,
    activity: Activity,
    size: SizeHint,
}

#[derive(Debug)]
struct Source<B> {
    body: B,
    kept: Vec<Bytes>,
    /// How many of them the attempt whose turn it is has sent.
    sent: usize,
    kept_bytes: usize,
    trailers: Option<HeaderMap>,
    /// Every frame so far was kept.
    complete: bool,
    /// Whether frames are to be kept.
    keep: bool,
    ended: bool,
}

impl<B> Source<B> {
    /// Lets go what was sent, where no other attempt needs it.
    fn release(&mut self) {
        if !self.keep && self.sent >= self.kept.len() && !self.kept.is_empty() {
            self.complete = false;
            self.kept = Vec::new();
            self.sent = 0;
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    /// A body from the client.
    pub(super) fn new(body: B, bytes: Rc<Cell<u64>>, activity: Activity) -> Self {
        if body.is_end_stream() {
            return Self { shared: None };
        }
        let size = body.size_hint();
        // One that says it is too long would only be kept in vain.
        let keep = size.lower() <= MAX_KEPT as u64;
        Self {
            shared: Some(Rc::new(Shared {
                source: RefCell::new(Source {
                    body,
                    kept: Vec::new(),
                    sent: 0,
                    kept_bytes: 0,
                    trailers: None,
                    complete: true,
                    keep,
                    ended: false,
                }),
                turn: Cell::new(0),
                bytes,
                activity,
                size,
            })),
        }
    }

    /// Whether an attempt from the start is (still) possible.
    pub(super) fn can_replay(&self) -> bool {
        self.shared
            .as_ref()
            .is_none_or(|shared| shared.source.borrow().complete)
    }

    /// There is a response to hand on: no other attempt comes, and nothing more is kept.
    pub(super) fn settle(&self) {
        if let Some(shared) = &self.shared {
            let mut source = shared.source.borrow_mut();
            source.keep = false;
            source.release();
        }
    }

    /// The body of the next attempt; earlier ones end.
    pub(super) fn attempt(&self) -> RequestBody<B> {
        RequestBody {
            part: self.shared.clone().map(|shared| {
                shared.turn.set(shared.turn.get() + 1);
                shared.source.borrow_mut().sent = 0;
                Part {
                    turn: shared.turn.get(),
                    trailers_sent: false,
                    shared,
                }
            }),
        }
    }
}

/// The body of one attempt.
#[derive(Debug)]
pub(crate) struct RequestBody<B = ClientBody> {
    part: Option<Part<B>>,
}

#[derive(Debug)]
struct Part<B> {
    shared: Rc<Shared<B>>,
    turn: u32,
    trailers_sent: bool,
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<RequestBodyError>,
{
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Some(part) = &mut self.get_mut().part else {
            return Poll::Ready(None);
        };
        if part.shared.turn.get() != part.turn {
            return Poll::Ready(Some(Err(RequestBodyError::Superseded)));
        }
        let mut source = part.shared.source.borrow_mut();
        let source = &mut *source;
        if let Some(kept) = source.kept.get(source.sent).cloned() {
            source.sent += 1;
            source.release();
            return Poll::Ready(Some(Ok(Frame::data(kept))));
        }
        if let Some(trailers) = source.trailers.as_ref().filter(|_| !part.trailers_sent) {
            part.trailers_sent = true;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers.clone()))));
        }
        if source.ended {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut source.body).poll_frame(cx)) else {
            source.ended = true;
            return Poll::Ready(None);
        };
        let mut frame = frame.map_err(|error| {
            part.shared.activity.0.client_failed.set(true);
            error.into()
        })?;
        if let Some(trailers) = frame.trailers_mut() {
            strip_trailers(trailers);
        }
        part.shared.activity.touch();
        match frame.data_ref() {
            Some(data) => {
                let length = data.len();
                let bytes = &part.shared.bytes;
                bytes.set(bytes.get().saturating_add(length as u64));
                source.kept_bytes = source.kept_bytes.saturating_add(length);
                if source.keep && source.kept_bytes <= MAX_KEPT {
                    source.kept.push(data.clone());
                    source.sent += 1;
                } else {
                    source.keep = false;
                    source.complete = false;
                    source.kept = Vec::new();
                    source.sent = 0;
                }
            }
            None => {
                if source.keep {
                    source.trailers = frame.trailers_ref().cloned();
                } else {
                    source.complete = false;
                }
                part.trailers_sent = true;
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.part.as_ref().is_none_or(|part| {
            let source = part.shared.source.borrow();
            let sent = source.sent >= source.kept.len()
                && (source.trailers.is_none() || part.trailers_sent);
            sent && (source.ended || source.body.is_end_stream())
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(part) = &self.part else {
            return SizeHint::with_exact(0);
        };
        // What is left to send, while that is all.
        let source = part.shared.source.borrow();
        if source.sent == 0 && source.complete {
            part.shared.size
        } else {
            SizeHint::default()
        }
    }
}

//! The client's side of a connection: one request, one response, again.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::{
    AsCame, Error,
    body::{Framing, Piece},
    input::{Input, may_be_whole},
    output::Output,
    pump::{Broken, Filled, Pump},
    request::{self, RequestHead},
    response::{self, MAX_HEAD, Received},
};
use crate::upstream::{UpstreamStream, pool::ConnectionPermit};

/// What a server reads at once at least. Of a request up to this it has read all or nothing.
const ONE_READ: usize = 4096;

/// How often, and how long after one another, it is looked whether a reset follows an end.
const LOOKS: u32 = 5;
const NEXT_LOOK: Duration = Duration::from_millis(1);

/// A connection to a server, without an exchange under way.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UpstreamStream,
    input: Input,
    output: Output,
    _permit: ConnectionPermit,
}

impl Connection {
    /// `permit`: counts it against the pool's bound for as long as it is open.
    pub(crate) fn new(stream: UpstreamStream, permit: ConnectionPermit) -> Box<Self> {
        Box::new(Self {
            stream,
            input: Input::default(),
            output: Output::default(),
            _permit: permit,
        })
    }

    /// Whether the server still listens, as far as is known here. One that spoke without being
    /// asked is not trusted any further.
    pub(crate) fn is_open(&mut self) -> bool {
        // No waker: nobody waits on an idle connection, it is looked at when it is wanted.
        let mut cx = Context::from_waker(Waker::noop());
        let read = self.input.poll_fill(&mut cx, &mut self.stream);
        read.is_pending() && self.input.held.is_empty()
    }

    /// Sends the request and waits for the response's head; the rest of the request's body is
    /// sent while the response is read.
    pub(crate) async fn send<B>(
        mut self: Box<Self>,
        head: RequestHead<'_>,
        body: B,
    ) -> Result<Response<ReplyBody<B>>, SendFailure<B::Error>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let length = body.size_hint().exact();
        let encoder = request::write(self.output.buffer(), head, length);
        let mut sending = Sending {
            pump: Pump::new(body, encoder),
            failed: false,
            reset: false,
            bytes: 0,
        };
        self.output.written = false;
        let mut heard = false;
        let received = {
            let connection = &mut *self;
            let (sending, heard) = (&mut sending, &mut heard);
            let method = head.method;
            let mut seen = 0;
            poll_fn(move |cx| {
                if let Poll::Ready(Err(failure)) = sending.poll(cx, connection) {
                    return Poll::Ready(Err(failure));
                }
                connection.poll_head(cx, method, &mut seen, heard)
            })
            .await
        };
        let received = match received {
            Err(SendFailure::Reset(error))
                if !heard
                    && sending.bytes <= ONE_READ
                    && self.left_unread(sending.reset, &error).await =>
            {
                return Err(SendFailure::Unread(error));
            }
            received => received?,
        };
        let Received {
            parts,
            came,
            framing,
            keep_alive,
        } = received;
        let upgraded = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        let body = ReplyBody {
            connection: Some(self),
            came,
            framing,
            sending,
            reusable: keep_alive && !upgraded,
        };
        Ok(Response::from_parts(parts, body))
    }

    fn poll_head<E>(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        seen: &mut usize,
        heard: &mut bool,
    ) -> Poll<Result<Received, SendFailure<E>>> {
        loop {
            let held = &mut self.input.held;
            if !held.is_empty() && (*seen == 0 || may_be_whole(held, *seen)) {
                match response::parse(held, method) {
                    // Interim responses are for this hop, but for the switch of protocols.
                    Ok(Some(received))
                        if received.parts.status.is_informational()
                            && received.parts.status != StatusCode::SWITCHING_PROTOCOLS =>
                    {
                        *seen = 0;
                        continue;
                    }
                    Ok(Some(received)) => return Poll::Ready(Ok(received)),
                    Ok(None) if held.len() > MAX_HEAD => {
                        return Poll::Ready(Err(SendFailure::Response(Error::TooLarge)));
                    }
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(SendFailure::Response(error))),
                }
            }
            *seen = held.len();
            match ready!(self.input.poll_fill(cx, &mut self.stream)) {
                Ok(1..) => *heard = true,
                _ if !self.output.written => {
                    return Poll::Ready(Err(SendFailure::Unsent(Error::Truncated)));
                }
                Ok(_) => return Poll::Ready(Err(SendFailure::Reset(Error::Truncated))),
                Err(error) => return Poll::Ready(Err(SendFailure::Reset(error.into()))),
            }
        }
    }

    /// Whether the server closed without having read what was sent: only then its kernel resets
    /// the connection instead of ending it (RFC 1122 4.2.2.13). A server that stops closes its
    /// idle connections, and may just have been sent a request.
    async fn left_unread(&self, reset: bool, error: &Error) -> bool {
        if reset {
            return true;
        }
        if let Error::Io(error) = error {
            return is_reset(error);
        }
        // The end came first: a server shuts its side down, and closes.
        for _ in 0..LOOKS {
            if let Ok(Some(error)) = self.stream.socket().take_error() {
                return is_reset(&error);
            }
            tokio::time::sleep(NEXT_LOOK).await;
        }
        false
    }
}

/// Whether the peer's kernel reset the connection: this side has not ended it.
fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// Why a request got no response, by what the server may have seen of it.
#[derive(Debug)]
pub(crate) enum SendFailure<E> {
    /// Not a byte was written.
    Unsent(Error),
    /// The server closed the connection without having read the request.
    Unread(Error),
    /// The connection ended before the response began.
    Reset(Error),
    /// What came back is not HTTP/1.
    Response(Error),
    /// The request's own body failed.
    Body(E),
    /// The request's body has another length than it said.
    Length,
}

/// A request on its way out.
#[derive(Debug)]
struct Sending<B> {
    pump: Pump<B>,
    /// The server does not take the rest; it may have answered all the same.
    failed: bool,
    /// It failed by a reset, which is told once only.
    reset: bool,
    /// What was given to the connection, at least.
    bytes: usize,
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    /// Ready once it is out, or cannot go out.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<Result<(), SendFailure<B::Error>>> {
        while !self.is_over(connection) {
            let filled = self.pump.fill(cx, &mut connection.output);
            let filled = filled.map_err(|broken| match broken {
                Broken::Body(error) => SendFailure::Body(error),
                Broken::Length => SendFailure::Length,
            })?;
            self.bytes = self.bytes.saturating_add(connection.output.len());
            match ready!(connection.output.poll_flush(cx, &mut connection.stream)) {
                Ok(()) => {}
                Err(error) if !connection.output.written => {
                    return Poll::Ready(Err(SendFailure::Unsent(error.into())));
                }
                Err(error) => {
                    self.failed = true;
                    self.reset = is_reset(&error);
                }
            }
            if filled == Filled::Pending {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_over(&self, connection: &Connection) -> bool {
        self.failed || (self.pump.is_ended() && connection.output.is_empty())
    }
}

/// A response's body, and with it the connection that it comes on.
pub(crate) struct ReplyBody<B> {
    connection: Option<Box<Connection>>,
    /// The response's fields, where they need no map.
    came: Option<AsCame>,
    framing: Framing,
    sending: Sending<B>,
    /// The connection may carry another exchange after this one.
    reusable: bool,
}

impl<B> fmt::Debug for ReplyBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody")
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}

impl<B: Body<Data = Bytes> + Unpin> ReplyBody<B> {
    /// The response's fields, where they are not in its map.
    pub(crate) fn came(&mut self) -> &mut Option<AsCame> {
        &mut self.came
    }

    /// The connection, if it may carry another exchange: both messages have ended, and nothing
    /// came after them.
    pub(crate) fn into_connection(mut self) -> Option<Box<Connection>> {
        let connection = self.connection.take()?;
        let clean = self.reusable
            && self.framing.is_ended()
            && !self.sending.failed
            && self.sending.is_over(&connection)
            && connection.input.held.is_empty()
            && !connection.input.ended;
        clean.then_some(connection)
    }

    /// The stream of a connection that switched protocols, and what was read of the new one.
    pub(crate) fn into_switched(mut self) -> Option<(Bytes, UpstreamStream, ConnectionPermit)> {
        let connection = *self.connection.take()?;
        Some((connection.input.held, connection.stream, connection._permit))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ReplyBody<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(connection) = &mut this.connection else {
            return Poll::Ready(None);
        };
        // A request whose body fails now is the client's failure: it ends the response with it.
        if let Poll::Ready(Err(_)) = this.sending.poll(cx, connection) {
            return Poll::Ready(Some(Err(Error::Truncated)));
        }
        loop {
            match this.framing.next(&mut connection.input) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Piece::Ended) => return Poll::Ready(None),
                Ok(Piece::Starved) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let read = connection.input.poll_fill(cx, &mut connection.stream);
            if let Err(error) = ready!(read) {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.framing.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing.left() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

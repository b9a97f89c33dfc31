//! What a connection and the body of its current request share: the body is read from the
//! connection as it is asked for, by whoever sends it on.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncWrite;

use super::{
    Error, MAX_HEAD,
    body::{Framing, Piece},
    input::Input,
};
use crate::connection::Stream;

/// How much of a body that nobody wanted is read so that the connection can go on, and how much
/// before it is closed so that the client sees its answer and no reset.
pub(super) const DISCARDED: usize = 64 * 1024;

/// What the connection and the body of its current request share.
#[derive(Debug)]
pub(super) struct Wire {
    pub stream: Stream,
    pub input: Input,
    /// The current request's body.
    pub framing: Framing,
    /// Of "100 Continue", what is still to be said when the body is first asked for.
    pub interim: &'static [u8],
}

impl Wire {
    /// Whether the client is gone. Reads ahead, at most the head of the next request.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Who reads the body notices by itself.
        while self.framing.is_ended() && self.input.held.len() < MAX_HEAD {
            if self.input.ended {
                return Poll::Ready(());
            }
            match ready!(self.input.poll_fill(cx, &mut self.stream)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Reads what is there of a body that nobody takes; whether it has ended.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) -> bool {
        let mut discarded = 0;
        while !self.framing.is_ended() {
            match self.framing.next(&mut self.input) {
                Ok(Piece::Data(data)) => discarded += data.len(),
                Ok(Piece::Trailers(_) | Piece::Ended) => {}
                Ok(Piece::Starved) if discarded < DISCARDED => {
                    match self.input.poll_fill(cx, &mut self.stream) {
                        Poll::Ready(Ok(1..)) => {}
                        _ => return false,
                    }
                }
                _ => return false,
            }
        }
        true
    }
}

/// A request's body, read from the connection as it is asked for.
#[derive(Debug)]
pub(crate) struct RequestBody(pub(super) Rc<RefCell<Wire>>);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let wire = &mut *self.0.borrow_mut();
        loop {
            match wire.framing.next(&mut wire.input) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Piece::Ended) => return Poll::Ready(None),
                Ok(Piece::Starved) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            while !wire.interim.is_empty() {
                let written = ready!(Pin::new(&mut wire.stream).poll_write(cx, wire.interim));
                match written {
                    Ok(written @ 1..) => {
                        wire.interim = wire.interim.get(written..).unwrap_or_default();
                    }
                    Ok(_) => return Poll::Ready(Some(Err(Error::Truncated))),
                    Err(error) => return Poll::Ready(Some(Err(error.into()))),
                }
                if wire.interim.is_empty() {
                    let _ = Pin::new(&mut wire.stream).poll_flush(cx);
                }
            }
            if let Err(error) = ready!(wire.input.poll_fill(cx, &mut wire.stream)) {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().framing.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.borrow().framing.left() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

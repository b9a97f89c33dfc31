//! Bodies as they come, of either protocol.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::request_body::{RequestBody, RequestBodyError};
use crate::{
    h1::{self, AsCame},
    upstream::pool::Cause,
};

/// A request's body as the client sends it.
#[derive(Debug)]
pub(crate) enum ClientBody {
    /// There is none.
    None,
    /// On a connection in HTTP/1.1.
    Http1(h1::RequestBody),
    /// On a stream in HTTP/2.
    Http2(Incoming),
}

/// A response's body as the endpoint sends it.
#[derive(Debug)]
pub(crate) enum ServerBody {
    /// On a connection in HTTP/1.1.
    Http1(Box<h1::ReplyBody<RequestBody>>),
    /// On a stream in HTTP/2.
    Http2(Incoming),
}

impl ServerBody {
    /// The response's fields, where they are not in its map.
    pub(super) fn came(&mut self) -> Option<&mut AsCame> {
        match self {
            Self::Http1(body) => body.came().as_mut(),
            Self::Http2(_) => None,
        }
    }

    /// Takes them.
    pub(super) fn take_came(&mut self) -> Option<AsCame> {
        match self {
            Self::Http1(body) => body.came().take(),
            Self::Http2(_) => None,
        }
    }
}

type Framed<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

impl Body for ClientBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Framed<RequestBodyError> {
        match self.get_mut() {
            Self::None => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Framed<Cause> {
        match self.get_mut() {
            Self::Http1(body) => Pin::new(&mut **body).poll_frame(cx).map_err(Into::into),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

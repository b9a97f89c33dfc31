//! Response bodies: streamed frame by frame, under the exchange's time-outs; their end is the end
//! of the exchange.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::{
    attempt::Answered, forward::Limits, grpc, incoming::ServerBody, observation::Observation,
    request_body::Activity, upgrade::Switched,
};
use crate::{h1::AsCame, upstream::pool::Cause};

/// Why a response ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResponseBodyError {
    /// The server's connection.
    #[error("the endpoint ended its response early: {0}")]
    Upstream(#[from] Cause),
    /// The request's time is over.
    #[error("the request's time-out ended during the response")]
    Timeout,
    /// Nothing came for too long.
    #[error("the response stood still for longer than the idle time-out")]
    Idle,
}

impl ResponseBodyError {
    fn flag(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream_reset",
            Self::Timeout => "timeout_request",
            Self::Idle => "timeout_idle",
        }
    }

    fn grpc_code(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "14",
            Self::Timeout | Self::Idle => "4",
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub(super) struct ResponseBody(Inner);

#[derive(Debug)]
enum Inner {
    /// Given by the proxy itself.
    Local {
        body: Option<Bytes>,
        /// Told when it is dropped: with the body.
        _observation: Box<Observation>,
    },
    /// Given by an endpoint.
    Streamed(Box<Streamed>),
    /// Both sides switch protocols.
    Switched(Box<Switched>),
    Ended,
}

#[derive(Debug)]
struct Streamed {
    /// `None`: it was given back with its connection.
    body: Option<ServerBody>,
    answered: Answered,
    observation: Box<Observation>,
    limits: Limits,
    activity: Activity,
    is_grpc: bool,
    /// The end was reached (a body without a known length does not say so itself).
    whole: bool,
}

impl ResponseBody {
    /// A body that the proxy gives itself.
    pub(super) fn local(body: Bytes, mut observation: Box<Observation>) -> Self {
        observation.response_bytes = body.len() as u64;
        Self(Inner::Local {
            body: Some(body).filter(|body| !body.is_empty()),
            _observation: observation,
        })
    }

    /// No body; the exchange goes on in another protocol.
    pub(super) fn switched(switched: Switched) -> Self {
        Self(Inner::Switched(Box::new(switched)))
    }

    /// The response's fields, where they are not in its map.
    pub(super) fn take_came(&mut self) -> Option<AsCame> {
        match &mut self.0 {
            Inner::Streamed(streamed) => streamed.body.as_mut()?.take_came(),
            _ => None,
        }
    }

    /// The other side of a switch of protocols.
    pub(super) fn take_switched(&mut self) -> Option<Box<Switched>> {
        match std::mem::replace(&mut self.0, Inner::Ended) {
            Inner::Switched(switched) => Some(switched),
            other => {
                self.0 = other;
                None
            }
        }
    }

    /// An endpoint's body.
    pub(super) fn streamed(
        body: ServerBody,
        answered: Answered,
        observation: Box<Observation>,
        limits: Limits,
        activity: Activity,
        is_grpc: bool,
    ) -> Self {
        Self(Inner::Streamed(Box::new(Streamed {
            body: Some(body),
            answered,
            observation,
            limits,
            activity,
            is_grpc,
            whole: false,
        })))
    }
}

impl Streamed {
    /// When the next time-out is, by what is known now.
    fn deadline(&self) -> Instant {
        let idle = self.activity.last() + self.limits.idle;
        self.limits
            .request
            .map_or(idle, |deadline| deadline.min(idle))
    }

    /// Pending, or the time-out that is over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<ResponseBodyError> {
        ready!(self.activity.poll_until(cx, self.deadline()));
        let now = Instant::now();
        let of_request = self.limits.request.is_some_and(|deadline| deadline <= now);
        Poll::Ready(if of_request {
            ResponseBodyError::Timeout
        } else {
            ResponseBodyError::Idle
        })
    }

    fn take_in(&mut self, frame: &Frame<Bytes>) {
        self.activity.touch();
        if let Some(data) = frame.data_ref() {
            self.observation.response_bytes += data.len() as u64;
        } else if let Some(trailers) = frame.trailers_ref() {
            let status = grpc::status_of(trailers);
            if status.is_some() {
                self.observation.grpc_status = status;
            }
        }
    }

    fn fail(&mut self, error: &ResponseBodyError) {
        self.observation.flag = Some(error.flag());
        if let ResponseBodyError::Upstream(_) = error
            && !self.activity.client_failed()
        {
            self.answered.broke_off();
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // Servers do not ask again once they know that a body has ended.
        let body = self.body.take();
        let is_whole = |body: &ServerBody| self.whole || body.is_end_stream();
        if let Some(body) = body.filter(is_whole) {
            self.answered.held.finish(body, self.activity.last());
        } else if self.observation.flag.is_none() {
            self.observation.flag = Some("downstream_reset");
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let inner = &mut self.get_mut().0;
        let streamed = match inner {
            Inner::Ended | Inner::Switched(_) => return Poll::Ready(None),
            Inner::Local { body, .. } => {
                let body = body.take();
                if body.is_none() {
                    *inner = Inner::Ended;
                }
                return Poll::Ready(body.map(|body| Ok(Frame::data(body))));
            }
            Inner::Streamed(streamed) => streamed,
        };
        let Some(body) = &mut streamed.body else {
            return Poll::Ready(None);
        };
        let error = match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                streamed.take_in(&frame);
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(None) => {
                streamed.whole = true;
                *inner = Inner::Ended;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => error.into(),
            Poll::Pending => match streamed.poll_time(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(error) => error,
            },
        };
        streamed.fail(&error);
        let is_grpc = streamed.is_grpc;
        if is_grpc {
            streamed.observation.grpc_status = error.grpc_code().parse().ok();
        }
        *inner = Inner::Ended;
        if is_grpc {
            // Trailers tell a gRPC client more than a reset would.
            let mut trailers = HeaderMap::new();
            trailers.insert(grpc::STATUS, HeaderValue::from_static(error.grpc_code()));
            trailers.insert(grpc::MESSAGE, grpc::encode_message(&error.to_string()));
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Ended | Inner::Switched(_) => true,
            Inner::Local { body, .. } => body.is_none(),
            Inner::Streamed(streamed) => streamed.body.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Ended | Inner::Switched(_) => SizeHint::with_exact(0),
            Inner::Local { body, .. } => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Inner::Streamed(streamed) => streamed
                .body
                .as_ref()
                .map_or_else(|| SizeHint::with_exact(0), Body::size_hint),
        }
    }
}

/// A time-out that never comes: far enough for any connection, near enough for the clock.
pub(super) const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

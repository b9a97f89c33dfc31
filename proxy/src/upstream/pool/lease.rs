//! A connection lent to one exchange.

use std::{fmt, io, net::SocketAddr, rc::Rc, time::Instant};

use http::Response;

use super::connections::{Idle, Shared, spent};
use crate::{
    h1::{self, SendFailure},
    http::{Head, RequestBody, ServerBody},
    upstream::{Cluster, Endpoint},
};

/// A connection lent to one exchange: sends it, then becomes [`Held`] until the response's body
/// has ended.
pub(crate) struct Lease {
    pub(super) kind: Kind,
    pub(super) endpoint: Rc<Endpoint>,
    pub(super) cluster: Rc<Cluster>,
    /// It carried exchanges before this one: the peer may have closed it meanwhile.
    pub(crate) reused: bool,
}

pub(super) enum Kind {
    Http1 {
        connection: Box<h1::Connection>,
        uses: u32,
    },
    Http2(Stream),
}

/// One stream of a shared connection.
pub(super) struct Stream(pub(super) Rc<Shared>);

impl Stream {
    pub(super) fn open(shared: Rc<Shared>) -> Self {
        shared.streams.set(shared.streams.get() + 1);
        shared.uses.set(shared.uses.get().saturating_add(1));
        Self(shared)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let shared = &self.0;
        shared.streams.set(shared.streams.get().saturating_sub(1));
        shared.since.set(Instant::now());
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("endpoint", &self.endpoint.key)
            .field("reused", &self.reused)
            .finish()
    }
}

/// What a protocol says of a failure.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] h1::Error),
    /// HTTP/2.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
    /// The request's own body.
    #[error("{0}")]
    Body(String),
}

/// Why a request got no response, by what the server may have seen of it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: the connection had ended before.
    #[error("the connection to {0} had ended: {1}")]
    Unsent(SocketAddr, Cause),
    /// The server says that it did not process it (REFUSED_STREAM, or GOAWAY before it).
    #[error("endpoint {0} refused the stream: {1}")]
    Refused(SocketAddr, Cause),
    /// The server closed the connection without having read the request.
    #[error("endpoint {0} closed the connection without reading the request: {1}")]
    Unread(SocketAddr, Cause),
    /// The connection ended before the response began. The server may have acted on it.
    #[error("endpoint {0} closed the connection before it answered: {1}; see its own log")]
    Reset(SocketAddr, Cause),
    /// The server vanished: no sign of it came for the keepalive's time. It may have acted on the
    /// request.
    #[error("endpoint {0} vanished, nothing was heard of it: {1}; see whether its node is there")]
    Vanished(SocketAddr, Cause),
    /// What came back is not HTTP.
    #[error("endpoint {0} answered with something that is not HTTP: {1}")]
    Protocol(SocketAddr, Cause),
    /// Our own client stopped sending its request.
    #[error("the client ended its request: {1} (towards {0})")]
    Client(SocketAddr, Cause),
}

impl SendError {
    fn of_http1(endpoint: &Endpoint, failure: SendFailure<impl fmt::Display>) -> Self {
        let name = endpoint.key.address;
        match failure {
            SendFailure::Unsent(error) => Self::Unsent(name, error.into()),
            SendFailure::Unread(error) => Self::Unread(name, error.into()),
            SendFailure::Reset(error) if error.is_timeout() => Self::Vanished(name, error.into()),
            SendFailure::Reset(error) => Self::Reset(name, error.into()),
            SendFailure::Response(error) => Self::Protocol(name, error.into()),
            SendFailure::Body(error) => Self::Client(name, Cause::Body(error.to_string())),
            SendFailure::Length => Self::Client(name, h1::Error::Length.into()),
        }
    }

    fn of_http2(endpoint: &Endpoint, error: hyper::Error, unsent: bool) -> Self {
        let name = endpoint.key.address;
        if unsent {
            return Self::Unsent(name, error.into());
        }
        if error.is_timeout() || is_timed_out(&error) {
            return Self::Vanished(name, error.into());
        }
        if let Some(reason) = h2_error(&error) {
            let refused = reason.reason() == Some(h2::Reason::REFUSED_STREAM);
            // A stream above the last that a GOAWAY names was not processed (RFC 9113 6.8);
            // only such streams get the GOAWAY as their error.
            if (refused || reason.is_go_away()) && reason.is_remote() {
                return Self::Refused(name, error.into());
            }
        }
        if error.is_parse() {
            Self::Protocol(name, error.into())
        } else if error.is_user() || error.is_body_write_aborted() {
            Self::Client(name, error.into())
        } else {
            Self::Reset(name, error.into())
        }
    }

    /// The same, known to come from the client's own request: towards an HTTP/2 endpoint it
    /// looks like a stream that was reset.
    pub(crate) fn of_client(self) -> Self {
        match self {
            Self::Reset(endpoint, error) | Self::Protocol(endpoint, error) => {
                Self::Client(endpoint, error)
            }
            other => other,
        }
    }

    /// The response flag.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Unsent(..) | Self::Unread(..) | Self::Reset(..) => "upstream_reset",
            Self::Vanished(..) => "upstream_vanished",
            Self::Refused(..) => "upstream_refused",
            Self::Protocol(..) => "upstream_protocol_error",
            Self::Client(..) => "downstream_reset",
        }
    }
}

/// Whether the connection below ended so.
fn is_timed_out(error: &hyper::Error) -> bool {
    let by_io = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
    match h2_error(error) {
        Some(error) => error.get_io().is_some_and(by_io),
        None => std::error::Error::source(error)
            .and_then(|source| source.downcast_ref())
            .is_some_and(by_io),
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<h2::Error>() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}

impl Lease {
    /// Sends the request and waits for the response's head.
    pub(crate) async fn send(
        self,
        head: &Head,
        body: RequestBody,
    ) -> Result<(Response<ServerBody>, Held), SendError> {
        let Self {
            kind,
            endpoint,
            cluster,
            ..
        } = self;
        match kind {
            Kind::Http1 { connection, uses } => {
                match connection.send(head.to_http1(), body).await {
                    Ok(response) => {
                        let back = Back {
                            uses: uses.saturating_add(1),
                            endpoint,
                            cluster,
                        };
                        let response = response.map(|body| ServerBody::Http1(Box::new(body)));
                        Ok((response, Held(Inner::Http1(Some(back)))))
                    }
                    Err(failure) => Err(SendError::of_http1(&endpoint, failure)),
                }
            }
            Kind::Http2(stream) => {
                let mut sender = stream.0.sender.clone();
                match sender.try_send_request(head.to_http2(body)).await {
                    Ok(response) => {
                        let held = Held(Inner::Http2(stream, cluster));
                        Ok((response.map(ServerBody::Http2), held))
                    }
                    Err(mut error) => {
                        let unsent = error.take_message().is_some();
                        let error = SendError::of_http2(&endpoint, error.into_error(), unsent);
                        if matches!(error, SendError::Unsent(..) | SendError::Refused(..)) {
                            endpoint.connections.borrow_mut().forget(&stream.0);
                        }
                        Err(error)
                    }
                }
            }
        }
    }
}

/// What is known of a connection whose response is being read. Dropping it gives the connection
/// up (HTTP/1.1: closes it) unless [`Held::finish`] said that the response has ended.
#[derive(Debug)]
pub struct Held(Inner);

enum Inner {
    Http1(Option<Back>),
    Http2(#[allow(dead_code)] Stream, Rc<Cluster>),
}

struct Back {
    uses: u32,
    endpoint: Rc<Endpoint>,
    cluster: Rc<Cluster>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1(_) => "Http1",
            Self::Http2(..) => "Http2",
        })
    }
}

impl Held {
    /// The response has ended, at `since`: its connection may carry the next exchange.
    pub(crate) fn finish(&mut self, body: ServerBody, since: Instant) {
        let (Inner::Http1(back), ServerBody::Http1(body)) = (&mut self.0, body) else {
            return;
        };
        let (Some(back), Some(connection)) = (back.take(), body.into_connection()) else {
            return;
        };
        let Back {
            uses,
            endpoint,
            cluster,
        } = back;
        let max_uses = cluster.policy().connection_pool.max_requests_per_connection;
        if endpoint.is_retired() || spent(uses, max_uses) {
            return;
        }
        endpoint.connections.borrow_mut().keep(Idle {
            connection,
            uses,
            since,
        });
        cluster.bounds.free();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Self::Http2(_, cluster) = self {
            // A stream became free; the connection itself stays.
            cluster.bounds.free();
        }
    }
}

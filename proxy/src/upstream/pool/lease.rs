//! A connection lent to one exchange.

use std::{
    fmt,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http1};

use super::connections::{Idle, Shared, spent};
use crate::{
    http::RequestBody,
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
        sender: http1::SendRequest<RequestBody>,
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

/// Why a request got no response, by what the server may have seen of it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: the connection had ended before.
    #[error("the connection to {0} had ended: {1}")]
    Unsent(Rc<str>, hyper::Error),
    /// The server says that it did not process it (REFUSED_STREAM, or GOAWAY before it).
    #[error("endpoint {0} refused the stream: {1}")]
    Refused(Rc<str>, hyper::Error),
    /// The connection ended before the response began. The server may have acted on it.
    #[error("endpoint {0} closed the connection before it answered: {1}; see its own log")]
    Reset(Rc<str>, hyper::Error),
    /// What came back is not HTTP.
    #[error("endpoint {0} answered with something that is not HTTP: {1}")]
    Protocol(Rc<str>, hyper::Error),
    /// Our own client stopped sending its request.
    #[error("the client ended its request: {1} (towards {0})")]
    Client(Rc<str>, hyper::Error),
}

impl SendError {
    fn classify(endpoint: &Endpoint, error: hyper::Error, unsent: bool) -> Self {
        let name: Rc<str> = endpoint.label.as_ref().into();
        if unsent {
            return Self::Unsent(name, error);
        }
        if let Some(reason) = h2_error(&error) {
            let refused = reason.reason() == Some(h2::Reason::REFUSED_STREAM);
            // A stream above the last that a GOAWAY names was not processed (RFC 9113 6.8);
            // only such streams get the GOAWAY as their error.
            if (refused || reason.is_go_away()) && reason.is_remote() {
                return Self::Refused(name, error);
            }
        }
        if error.is_parse() {
            Self::Protocol(name, error)
        } else if error.is_user() || error.is_body_write_aborted() {
            Self::Client(name, error)
        } else {
            Self::Reset(name, error)
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
            Self::Unsent(..) | Self::Reset(..) => "upstream_reset",
            Self::Refused(..) => "upstream_refused",
            Self::Protocol(..) => "upstream_protocol_error",
            Self::Client(..) => "downstream_reset",
        }
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
    /// What it speaks.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.kind, Kind::Http2(_))
    }

    /// Sends the request and waits for the response's head.
    pub(crate) async fn send(
        self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Held), SendError> {
        let Self {
            kind,
            endpoint,
            cluster,
            ..
        } = self;
        match kind {
            Kind::Http1 { mut sender, uses } => match sender.try_send_request(request).await {
                Ok(response) => {
                    let back = Back {
                        sender,
                        uses: uses.saturating_add(1),
                        endpoint,
                        cluster,
                    };
                    Ok((response, Held(Inner::Http1(Some(Box::new(back))))))
                }
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    Err(SendError::classify(&endpoint, error.into_error(), unsent))
                }
            },
            Kind::Http2(stream) => {
                let mut sender = stream.0.sender.clone();
                match sender.try_send_request(request).await {
                    Ok(response) => Ok((response, Held(Inner::Http2(Box::new((stream, cluster)))))),
                    Err(mut error) => {
                        let unsent = error.take_message().is_some();
                        let error = SendError::classify(&endpoint, error.into_error(), unsent);
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

/// A connection whose response is being read. Dropping it gives the connection up (HTTP/1.1:
/// closes it) unless [`Held::finish`] said that the response has ended.
#[derive(Debug)]
pub struct Held(Inner);

enum Inner {
    Http1(Option<Box<Back>>),
    Http2(Box<(Stream, Rc<Cluster>)>),
}

struct Back {
    sender: http1::SendRequest<RequestBody>,
    uses: u32,
    endpoint: Rc<Endpoint>,
    cluster: Rc<Cluster>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1(_) => "Http1",
            Self::Http2(_) => "Http2",
        })
    }
}

impl Held {
    /// The response has ended: the connection may carry the next exchange.
    pub fn finish(&mut self) {
        let Inner::Http1(back) = &mut self.0 else {
            return;
        };
        let Some(back) = back.take() else { return };
        let Back {
            sender,
            uses,
            endpoint,
            cluster,
        } = *back;
        let max_uses = cluster.policy().connection_pool.max_requests_per_connection;
        if sender.is_closed() || endpoint.is_retired() || spent(uses, max_uses) {
            return;
        }
        endpoint.connections.borrow_mut().keep(Idle {
            sender,
            uses,
            since: Instant::now(),
        });
        cluster.bounds.free();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Self::Http2(shared) = self {
            // A stream became free; the connection itself stays.
            shared.1.bounds.free();
        }
    }
}

/// How long an HTTP/1.1 connection may take to be ready for the next exchange: its task has only
/// to be scheduled once. One that is still sending the body of the last request is not waited
/// for.
pub(super) const READY_WITHIN: Duration = Duration::from_millis(50);

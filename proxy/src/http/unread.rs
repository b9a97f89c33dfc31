//! What is told of a request that the parser refused: nothing of it is known but its connection.

use std::sync::Arc;

use super::{
    context::Context,
    series::{Labels, Series},
};
use crate::observe::AccessRecord;

/// Why a connection ended without its request having been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not HTTP; answered with this status, where HTTP/1.1 allows an answer.
    Malformed(Option<u16>),
    /// Its head did not end in time.
    SlowHead,
}

impl Unread {
    /// What an error of the server's side of an HTTP/2 connection says; `None`: no request is
    /// refused by it (the client went away, or a request under way ended and told of it itself).
    pub(super) fn of(error: &hyper::Error) -> Option<Self> {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<h2::Error>() {
                // Ended by us, for what the peer sent.
                return error.is_library().then_some(Self::Malformed(None));
            }
            source = cause.source();
        }
        None
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_request",
            Self::SlowHead => "timeout_head",
        }
    }

    /// Counts it and writes its line.
    pub(super) fn tell(self, context: &Context, http2: bool) {
        let protocol = if http2 { "http/2" } else { "http/1.1" };
        let status = match self {
            Self::Malformed(status) => status,
            Self::SlowHead => None,
        };
        let none = Arc::default();
        let labels = Labels {
            status: status.unwrap_or(0),
            grpc_status: None,
            flag: self.flag(),
            protocol,
            route: None,
            service: &none,
            namespace: &none,
        };
        Series::resolve(context, &labels).requests.inc();
        let connection = &context.connection;
        let direction = connection.direction.as_str();
        context.worker.access_log.log(&AccessRecord {
            status,
            flag: Some(self.flag()),
            source_identity: connection.peer_identity().map(Arc::as_ref),
            ..AccessRecord::new(direction, protocol, connection.peer)
        });
    }
}

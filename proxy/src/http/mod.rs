//! HTTP/1.1, HTTP/2 and gRPC: decide, enforce, respond.

use std::rc::Rc;

use crate::{
    connection::{ConnectionInfo, Stream},
    worker::Worker,
};

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/2 if the connection begins with its preface, else HTTP/1.1.
    Auto,
}

/// Serves a connection to its end: drain, time-outs and every refusal included.
pub async fn serve(
    worker: Rc<Worker>,
    connection: ConnectionInfo,
    stream: Stream,
    version: Version,
) {
    let _ = (worker, connection, stream, version);
}

//! A connection, from its first byte to its drain.

use std::{io, rc::Rc};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::context::Context;
use crate::{
    connection::{ConnectionInfo, Stream},
    worker::Worker,
};

mod http1;
mod http2;

/// How long a connection may stand without a request.
const IDLE: std::time::Duration = std::time::Duration::from_secs(10 * 60);

/// The begin of the HTTP/2 preface that no HTTP/1.1 request shares.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
    mut stream: Stream,
    version: Version,
) {
    let (is_http2, prefix) = if version == Version::Http1 {
        (false, Bytes::new())
    } else {
        let within = worker.bootstrap.header_timeout;
        match tokio::time::timeout(within, detect(&mut stream)).await {
            Ok(Ok((http2, prefix))) if http2 || version == Version::Auto => (http2, prefix),
            // Nobody to answer: the peer is gone, never said a word, or does not speak the
            // HTTP/2 that its ALPN promised.
            _ => return,
        }
    };
    let context = Context::new(worker, connection);
    let unread = if is_http2 {
        Box::pin(http2::serve(&context, stream, prefix)).await
    } else {
        Box::pin(http1::serve(&context, stream, prefix)).await
    };
    if let Some(unread) = unread {
        unread.tell(&context, is_http2);
    }
}

/// Reads until it is clear whether this is HTTP/2's preface.
async fn detect(stream: &mut Stream) -> io::Result<(bool, Bytes)> {
    let mut read = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok((false, read.freeze()));
        }
        let length = read.len().min(PREFACE.len());
        if read.get(..length) != PREFACE.get(..length) {
            return Ok((false, read.freeze()));
        }
        if length == PREFACE.len() {
            return Ok((true, read.freeze()));
        }
    }
}

//! A connection, from its first byte to its drain.

use std::{future::poll_fn, io, rc::Rc};

use bytes::Bytes;
use tokio::time::timeout;

use super::context::Context;
use crate::{
    connection::{ConnectionInfo, Direction, Stream},
    h1::Input,
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
        match detect(&worker, connection.direction, &mut stream).await {
            Some((http2, prefix)) if http2 || version == Version::Auto => (http2, prefix),
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
///
/// The local application may wait with its first byte: clients hold connections ready that have
/// carried nothing yet, and would send a request just as one of them is closed. Of anybody else,
/// silence is no more than a cost.
async fn detect(
    worker: &Worker,
    direction: Direction,
    stream: &mut Stream,
) -> Option<(bool, Bytes)> {
    let within = worker.bootstrap.header_timeout;
    let mut input = Input::default();
    let first = fill(stream, &mut input);
    let open = if direction == Direction::Outbound {
        tokio::select! {
            biased;
            open = timeout(IDLE, first) => open,
            () = worker.drain.started() => return None,
        }
    } else {
        timeout(within, first).await
    };
    let mut open = open.ok()?.ok()?;
    let rest = async {
        loop {
            let length = input.held.len().min(PREFACE.len());
            if !open || input.held.get(..length) != PREFACE.get(..length) {
                return Ok::<_, io::Error>(false);
            }
            if length == PREFACE.len() {
                return Ok(true);
            }
            open = fill(stream, &mut input).await?;
        }
    };
    let http2 = timeout(within, rest).await.ok()?.ok()?;
    Some((http2, input.held))
}

/// Reads once; `false` at the end.
async fn fill(stream: &mut Stream, input: &mut Input) -> io::Result<bool> {
    let read = poll_fn(|cx| input.poll_fill(cx, stream)).await?;
    Ok(read > 0)
}

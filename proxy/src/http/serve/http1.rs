//! HTTP/1.1: one request after the other, each of them served to its end in the connection's own
//! task.

use std::{pin::pin, rc::Rc, time::Duration};

use bytes::Bytes;

use super::IDLE;
use crate::{
    connection::Stream,
    h1::{Asked, End, Incoming, Patience, Served},
    http::{context::Context, exchange::exchange, incoming::ClientBody, unread::Unread},
};

/// For how long a draining proxy takes requests that were on their way to it.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Serves a connection to its end; gives what came at last and could not be read.
pub(super) async fn serve(context: &Rc<Context>, stream: Stream, prefix: Bytes) -> Option<Unread> {
    let drain = context.worker.drain.clone();
    // Whoever calls through a proxy of the mesh hears of the end of this pod within moments, and
    // closes the connection itself.
    let is_mesh = context.connection.tls.is_some();
    let patience = Patience {
        idle: IDLE,
        head: context.worker.bootstrap.header_timeout,
        draining: if is_mesh {
            LAST_REQUESTS
        } else {
            Duration::ZERO
        },
    };
    let mut draining = pin!(drain.started());
    let mut incoming = Incoming::new(stream, prefix);
    loop {
        let next = incoming.next(draining.as_mut(), patience);
        let Asked {
            parts,
            body,
            answer,
        } = match next.await {
            Ok(asked) => asked,
            Err(End::Left) => return None,
            Err(End::SlowHead) => return Some(Unread::SlowHead),
            Err(End::Refused(status)) => return Some(Unread::Malformed(Some(status))),
        };
        let body = body.map_or(ClientBody::None, ClientBody::Http1);
        // Boxed: between requests, a connection holds none of an exchange's state.
        let exchange = Box::pin(exchange(context.clone(), parts, body));
        // A client that leaves takes its request with it, on both sides.
        let mut response = incoming.while_there(exchange).await?;
        if let Some(switched) = response.body_mut().take_switched() {
            let client = incoming.switch(&response).await;
            Box::pin(switched.run(client)).await;
            return None;
        }
        let last = drain.is_draining();
        let came = response.body_mut().take_came();
        if incoming.respond(response, came, answer, last).await == Served::Closed {
            return None;
        }
    }
}

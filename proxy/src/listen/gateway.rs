//! From outside to a gateway: plain HTTP, one listener per address.

use std::{rc::Rc, sync::Arc, time::Instant};

use super::accept::Accepted;
use crate::{
    connection::{ConnectionInfo, Direction, Prefixed, Stream, Target},
    http,
    worker::Worker,
};

pub(super) async fn handle(worker: Rc<Worker>, accepted: Accepted, listener: Arc<str>) {
    let connection = ConnectionInfo {
        direction: Direction::Gateway,
        peer: accepted.peer,
        local: accepted.local,
        original_destination: None,
        target: Target::Listener(listener),
        tls: None,
        refuse: None,
        accepted: Instant::now(),
    };
    let stream = Stream::Plain(Prefixed::new(Default::default(), accepted.stream));
    http::serve(worker, connection, stream, http::Version::Auto).await;
}

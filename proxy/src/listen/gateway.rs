//! From outside to a gateway, one listener per address: plain HTTP, or TLS that ends here.

use std::{rc::Rc, sync::Arc, time::Instant};

use tokio_rustls::TlsAcceptor;

use super::{accept::Accepted, detect::HELLO_TIMEOUT};
use crate::{
    connection::{ConnectionInfo, Direction, Prefixed, Stream, Target},
    http,
    observe::{
        AccessRecord,
        families::{CONNECTIONS_REFUSED, TLS_HANDSHAKES},
    },
    worker::Worker,
};

pub(super) async fn handle(worker: Rc<Worker>, accepted: Accepted, listener: Arc<str>) {
    // A gateway that is not configured yet says so in HTTP.
    let secure = worker
        .config
        .gateway()
        .and_then(|gateway| Some(gateway.listener(&listener)?.tls))
        .unwrap_or_default();
    let connection = ConnectionInfo {
        direction: Direction::Gateway,
        peer: accepted.peer,
        local: accepted.local,
        original_destination: None,
        target: Target::Listener(listener.clone()),
        tls: None,
        secure,
        refuse: None,
        accepted: Instant::now(),
    };
    let stream = Prefixed::new(Default::default(), accepted.stream);
    if !secure {
        return http::serve(
            worker,
            connection,
            Stream::Plain(stream),
            http::Version::Auto,
        )
        .await;
    }
    let Some(certificate) = worker.certificates.of(&listener) else {
        return refuse(&worker, &connection, "no_certificate");
    };
    let handshake = Box::pin(TlsAcceptor::from(certificate).accept(stream));
    let (result, stream) = match tokio::time::timeout(HELLO_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => ("success", Some(stream)),
        Ok(Err(error)) => {
            tracing::debug!(peer = %connection.peer, %error, "no TLS with a client of the gateway");
            ("tls", None)
        }
        Err(_) => ("timeout", None),
    };
    worker
        .metrics
        .counter(&TLS_HANDSHAKES, &["gateway", result])
        .inc();
    match stream {
        Some(stream) => {
            let stream = Stream::Tls(Box::new(stream));
            http::serve(worker, connection, stream, http::Version::Auto).await;
        }
        None => refuse(&worker, &connection, "tls"),
    }
}

/// Counts and logs a connection that is closed before a request could be read from it.
fn refuse(worker: &Worker, connection: &ConnectionInfo, reason: &'static str) {
    worker
        .metrics
        .counter(&CONNECTIONS_REFUSED, &["gateway", reason])
        .inc();
    worker.access_log.log(&AccessRecord {
        flag: Some(reason),
        duration: connection.accepted.elapsed(),
        ..AccessRecord::new("gateway", "tcp", connection.peer)
    });
}

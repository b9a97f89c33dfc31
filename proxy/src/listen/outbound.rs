//! From the local application to the mesh.

use std::{net::SocketAddr, rc::Rc, time::Instant};

use bytes::Bytes;
use weft_engine::documents::{Protocol, ServiceRef};

use super::{
    accept::Accepted,
    detect::{Look, SNIFF_TIMEOUT, Spoken, detect},
};
use crate::{
    connection::{ConnectionInfo, Direction, Prefixed, Stream, Target},
    http,
    observe::families::{CONNECTIONS_REFUSED, PROTOCOL_DETECTIONS},
    tcp,
    worker::Worker,
};

/// A connection to the capture port: redirected, to a ClusterIP or elsewhere; or made to the
/// port itself, with the service in each request's `Host`.
pub(super) async fn captured(worker: Rc<Worker>, accepted: Accepted, dialled: Option<SocketAddr>) {
    let Some(dialled) = dialled else {
        let connection = info(&accepted, None, Target::Host);
        let stream = Stream::Plain(Prefixed::new(Bytes::new(), accepted.stream));
        return http::serve(worker, connection, stream, http::Version::Auto).await;
    };
    match worker.config.service_at(dialled.ip()).await {
        Some(service) => {
            let service = ServiceRef {
                port: dialled.port(),
                ..service
            };
            to_service(worker, accepted, Some(dialled), service).await;
        }
        None => {
            let target = Target::Passthrough(dialled);
            let connection = info(&accepted, Some(dialled), target);
            let stream = Stream::Plain(Prefixed::new(Bytes::new(), accepted.stream));
            tcp::passthrough(worker, connection, stream, dialled).await;
        }
    }
}

/// A connection to a listener that is bound to one service port.
pub(super) async fn bound(worker: Rc<Worker>, accepted: Accepted, service: ServiceRef) {
    to_service(worker, accepted, None, service).await;
}

async fn to_service(
    worker: Rc<Worker>,
    mut accepted: Accepted,
    dialled: Option<SocketAddr>,
    service: ServiceRef,
) {
    let view = worker
        .config
        .service(&service.namespace, &service.name)
        .await;
    let protocol = view
        .as_ref()
        .and_then(|view| Some(view.compiled.port(service.port)?.protocol));
    let connection = info(&accepted, dialled, Target::Service(service));
    let Some(protocol) = protocol else {
        // Who speaks HTTP would like an answer, but what is spoken is not known.
        tracing::debug!(target = ?connection.target, "no such service or port");
        worker
            .metrics
            .counter(&CONNECTIONS_REFUSED, &["outbound", "service_unknown"])
            .inc();
        return;
    };
    drop(view);
    let (is_http, bytes) = match protocol {
        Protocol::Http | Protocol::Http2 | Protocol::Grpc => (true, Bytes::new()),
        Protocol::Tcp | Protocol::Tls => (false, Bytes::new()),
        Protocol::Auto => {
            let look = Look {
                tls: false,
                http: true,
                patience: SNIFF_TIMEOUT,
            };
            let (spoken, bytes) = detect(&mut accepted.stream, look).await;
            worker
                .metrics
                .counter(&PROTOCOL_DETECTIONS, &["outbound", spoken.as_str()])
                .inc();
            if spoken == Spoken::Closed {
                return;
            }
            (spoken == Spoken::Http, bytes)
        }
    };
    let stream = Stream::Plain(Prefixed::new(bytes, accepted.stream));
    if is_http {
        http::serve(worker, connection, stream, http::Version::Auto).await;
    } else {
        tcp::outbound(worker, connection, stream).await;
    }
}

fn info(accepted: &Accepted, dialled: Option<SocketAddr>, target: Target) -> ConnectionInfo {
    ConnectionInfo {
        direction: Direction::Outbound,
        peer: accepted.peer,
        local: accepted.local,
        original_destination: dialled,
        target,
        tls: None,
        secure: false,
        refuse: None,
        accepted: Instant::now(),
    }
}

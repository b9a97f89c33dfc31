//! From the local application to the mesh.

use std::{net::SocketAddr, rc::Rc, time::Instant};

use bytes::Bytes;
use weft_engine::documents::{Protocol, ServiceRef};

use super::{
    accept::Accepted,
    detect::{Look, SNIFF_TIMEOUT, Spoken, detect},
};
use crate::{
    config::{Addressed, PodCall, PodView},
    connection::{ConnectionInfo, Direction, Prefixed, Stream, Target},
    http,
    observe::families::{CONNECTIONS_REFUSED, PROTOCOL_DETECTIONS},
    tcp,
    worker::Worker,
};

/// A connection to the capture port: redirected, to a ClusterIP, a pod or elsewhere; or made to the
/// port itself, with the service in each request's `Host`.
pub(super) async fn captured(worker: Rc<Worker>, accepted: Accepted, dialled: Option<SocketAddr>) {
    let Some(dialled) = dialled else {
        let connection = info(&accepted, None, Target::Host);
        let stream = Stream::Plain(Prefixed::new(Bytes::new(), accepted.stream));
        return http::serve(worker, connection, stream, http::Version::Auto).await;
    };
    if let Some(service) = worker.config.service_at(dialled.ip()).await {
        let service = ServiceRef {
            port: dialled.port(),
            ..service
        };
        return to_service(worker, accepted, Some(dialled), service).await;
    }
    match worker.config.pod_at(dialled).await {
        Addressed::Pod(pod) => to_pod(worker, accepted, pod).await,
        Addressed::Outside => {
            let target = Target::Passthrough(dialled);
            let connection = info(&accepted, Some(dialled), target);
            let stream = Stream::Plain(Prefixed::new(Bytes::new(), accepted.stream));
            tcp::passthrough(worker, connection, stream, dialled).await;
        }
        Addressed::Unreadable => refuse(&worker, "identity_unreadable"),
    }
}

/// A connection to a pod of the mesh by its own address.
async fn to_pod(worker: Rc<Worker>, accepted: Accepted, pod: PodView) {
    let protocol = PodCall::to(&worker.config, &pod).await.port().protocol;
    let dialled = pod.address;
    let connection = info(&accepted, Some(dialled), Target::Pod(Box::new(pod)));
    serve(worker, connection, accepted, protocol).await;
}

/// A connection to a listener that is bound to one service port.
pub(super) async fn bound(worker: Rc<Worker>, accepted: Accepted, service: ServiceRef) {
    to_service(worker, accepted, None, service).await;
}

async fn to_service(
    worker: Rc<Worker>,
    accepted: Accepted,
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
        return refuse(&worker, "service_unknown");
    };
    drop(view);
    serve(worker, connection, accepted, protocol).await;
}

fn refuse(worker: &Worker, reason: &str) {
    worker
        .metrics
        .counter(&CONNECTIONS_REFUSED, &["outbound", reason])
        .inc();
}

/// Serves what the target is declared to speak, or what it turns out to.
async fn serve(
    worker: Rc<Worker>,
    connection: ConnectionInfo,
    mut accepted: Accepted,
    protocol: Protocol,
) {
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

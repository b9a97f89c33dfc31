//! From the mesh to the local application. Mesh TLS is recognised by its ALPN; the declared
//! protocol decides how a port is treated, and the mTLS mode whether plaintext is taken.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use weft_engine::documents::{MtlsMode, Protocol};

use super::{
    accept::Accepted,
    detect::{HELLO_TIMEOUT, Look, SNIFF_TIMEOUT, Spoken, detect},
};
use crate::{
    connection::{ConnectionInfo, Direction, MTLS_REQUIRED, Prefixed, Stream, Target},
    http,
    identity::{MeshAlpn, accept_mesh},
    observe::{
        AccessRecord, Towards,
        families::{CONNECTIONS_REFUSED, PROTOCOL_DETECTIONS, TLS_HANDSHAKES},
    },
    tcp,
    worker::Worker,
};

/// A redirected connection: the original destination is the application.
pub(super) async fn captured(worker: Rc<Worker>, accepted: Accepted, dialled: Option<SocketAddr>) {
    match dialled {
        Some(app) => {
            let target = Target::App {
                port: app.port(),
                address: app,
            };
            handle(worker, accepted, Some(app), app.port(), target).await;
        }
        // Dialled directly, the capture port stands for no port of the application.
        None => {
            let target = Target::Passthrough(accepted.local);
            let connection = info(&accepted, None, target);
            refuse(&worker, &connection, "not_redirected", None);
        }
    }
}

/// A connection to one of the pod's own ports.
pub(super) async fn bound(worker: Rc<Worker>, accepted: Accepted, port: u16, app: SocketAddr) {
    let target = Target::App { port, address: app };
    handle(worker, accepted, None, port, target).await;
}

fn info(
    accepted: &Accepted,
    original_destination: Option<SocketAddr>,
    target: Target,
) -> ConnectionInfo {
    ConnectionInfo {
        direction: Direction::Inbound,
        peer: accepted.peer,
        local: accepted.local,
        original_destination,
        target,
        tls: None,
        secure: false,
        refuse: None,
        accepted: Instant::now(),
    }
}

/// Counts and logs a connection that is closed before a protocol takes over; `rule`: what of the
/// configuration refuses it.
fn refuse(worker: &Worker, connection: &ConnectionInfo, reason: &'static str, rule: Option<&str>) {
    worker
        .metrics
        .counter(&CONNECTIONS_REFUSED, &["inbound", reason])
        .inc();
    if !worker.access_log.is_on() {
        return;
    }
    let destination = match connection.target {
        Target::App { port, address } => Some(worker.inbound_destination(port, address)),
        _ => None,
    };
    worker.access_log.log(&AccessRecord {
        flag: Some(reason),
        rule,
        duration: connection.accepted.elapsed(),
        destination: destination.as_deref().map(Towards::Named),
        ..AccessRecord::new("inbound", "tcp", connection.peer)
    });
}

async fn handle(
    worker: Rc<Worker>,
    accepted: Accepted,
    original_destination: Option<SocketAddr>,
    port: u16,
    target: Target,
) {
    let mut connection = info(&accepted, original_destination, target);
    let Some(inbound) = worker.config.inbound() else {
        return refuse(&worker, &connection, "config_not_loaded", None);
    };
    let (protocol, mode) = (inbound.protocol(port), inbound.mtls(port));
    let strict: Option<Arc<str>> =
        (mode == MtlsMode::Strict).then(|| inbound.plaintext_denied_by(port).into());
    drop(inbound);
    let mut stream = accepted.stream;
    let (spoken, bytes) = match look(mode, protocol) {
        Some(look) => {
            let (spoken, bytes) = detect(&mut stream, look).await;
            worker
                .metrics
                .counter(&PROTOCOL_DETECTIONS, &["inbound", spoken.as_str()])
                .inc();
            (spoken, bytes)
        }
        None => (Spoken::Silence, Bytes::new()),
    };
    match spoken {
        Spoken::Closed => return,
        Spoken::BrokenHello if protocol != Protocol::Tcp || mode == MtlsMode::Strict => {
            let reason = Spoken::BrokenHello.as_str();
            return refuse(&worker, &connection, reason, strict.as_deref());
        }
        Spoken::MeshTls => return mesh(worker, connection, Prefixed::new(bytes, stream)).await,
        _ => {}
    }
    let is_http = match protocol {
        // The application's own TLS: its HTTP cannot be seen, so it is TCP to every rule.
        _ if spoken == Spoken::AppTls => false,
        Protocol::Http | Protocol::Http2 | Protocol::Grpc => true,
        Protocol::Auto => spoken == Spoken::Http,
        Protocol::Tcp | Protocol::Tls => false,
    };
    if let Some(by) = strict {
        // HTTP gets an answer that says why; anything else cannot be told.
        if !is_http || spoken != Spoken::Http {
            return refuse(&worker, &connection, MTLS_REQUIRED, Some(&by));
        }
        connection.refuse = Some(by);
    }
    let stream = Stream::Plain(Prefixed::new(bytes, stream));
    if is_http {
        http::serve(worker, connection, stream, http::Version::Auto).await;
    } else {
        tcp::inbound(worker, connection, stream).await;
    }
}

/// What to look for, if the first bytes matter at all. A client of mesh TLS always speaks
/// first, so only plaintext towards a server-first protocol pays a wait, and only where both
/// are taken.
fn look(mode: MtlsMode, protocol: Protocol) -> Option<Look> {
    let is_auto = protocol == Protocol::Auto;
    match mode {
        MtlsMode::Disabled => is_auto.then_some(Look {
            tls: false,
            http: true,
            patience: SNIFF_TIMEOUT,
        }),
        MtlsMode::Strict => Some(Look {
            tls: true,
            http: true,
            patience: HELLO_TIMEOUT,
        }),
        MtlsMode::Permissive => Some(Look {
            tls: true,
            http: is_auto,
            patience: match protocol {
                Protocol::Tcp | Protocol::Auto => SNIFF_TIMEOUT,
                _ => HELLO_TIMEOUT,
            },
        }),
    }
}

async fn mesh(worker: Rc<Worker>, mut connection: ConnectionInfo, stream: Prefixed<TcpStream>) {
    let handshake =
        tokio::time::timeout(HELLO_TIMEOUT, accept_mesh(&worker.identity, stream)).await;
    let (stream, tls) = match handshake {
        Ok(Ok(accepted)) => accepted,
        failed => {
            let result = match failed {
                Ok(Err(error)) => {
                    tracing::debug!(peer = %connection.peer, %error, "mesh TLS handshake failed");
                    error.label()
                }
                _ => "timeout",
            };
            let metrics = &worker.metrics;
            metrics.counter(&TLS_HANDSHAKES, &["inbound", result]).inc();
            return refuse(&worker, &connection, "mesh_tls", None);
        }
    };
    worker
        .metrics
        .counter(&TLS_HANDSHAKES, &["inbound", "success"])
        .inc();
    let alpn = tls.alpn;
    connection.tls = Some(tls);
    let stream = Stream::Tls(Box::new(stream));
    // The client's proxy says what it carries. Where the port's declaration changes, the two
    // sides hear of it at different moments; the facts given to the engine are true in either
    // case, so a rule on HTTP is never passed by calling it TCP.
    match alpn {
        MeshAlpn::H2 => http::serve(worker, connection, stream, http::Version::Http2).await,
        MeshAlpn::Http1 => http::serve(worker, connection, stream, http::Version::Http1).await,
        MeshAlpn::TcpConnect | MeshAlpn::Tcp => tcp::inbound(worker, connection, stream).await,
    }
}

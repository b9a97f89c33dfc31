//! From the mesh to the local application. Mesh TLS is recognised by its ALPN; the declared
//! protocol decides how a port is treated, and the mTLS mode whether plaintext is taken.

use std::{net::SocketAddr, rc::Rc, time::Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use weft_engine::documents::{MtlsMode, Protocol};

use super::{
    accept::Accepted,
    detect::{HELLO_TIMEOUT, Look, SNIFF_TIMEOUT, Spoken, detect},
};
use crate::{
    connection::{ConnectionInfo, Direction, Prefixed, Stream, Target},
    http,
    identity::{MeshAlpn, accept_mesh},
    observe::families::{CONNECTIONS_REFUSED, PROTOCOL_DETECTIONS, TLS_HANDSHAKES},
    tcp,
    worker::Worker,
};

/// The flag of what is refused because it came in plaintext.
const MTLS_REQUIRED: &str = "mtls_required";

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
        None => refuse(&worker, "not_redirected"),
    }
}

/// A connection to one of the pod's own ports.
pub(super) async fn bound(worker: Rc<Worker>, accepted: Accepted, port: u16, app: SocketAddr) {
    let target = Target::App { port, address: app };
    handle(worker, accepted, None, port, target).await;
}

fn refuse(worker: &Worker, reason: &str) {
    worker
        .metrics
        .counter(&CONNECTIONS_REFUSED, &["inbound", reason])
        .inc();
}

async fn handle(
    worker: Rc<Worker>,
    accepted: Accepted,
    original_destination: Option<SocketAddr>,
    port: u16,
    target: Target,
) {
    let Some(inbound) = worker.config.inbound() else {
        return refuse(&worker, "config_not_loaded");
    };
    let (protocol, mode) = (inbound.protocol(port), inbound.mtls(port));
    drop(inbound);
    let Accepted {
        mut stream,
        peer,
        local,
    } = accepted;
    let mut connection = ConnectionInfo {
        direction: Direction::Inbound,
        peer,
        local,
        original_destination,
        target,
        tls: None,
        refuse: None,
        accepted: Instant::now(),
    };
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
            return refuse(&worker, Spoken::BrokenHello.as_str());
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
    if mode == MtlsMode::Strict {
        // HTTP gets an answer that says why; anything else cannot be told.
        if !is_http || spoken != Spoken::Http {
            return refuse(&worker, MTLS_REQUIRED);
        }
        connection.refuse = Some(MTLS_REQUIRED);
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
            return refuse(&worker, "mesh_tls");
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
        MeshAlpn::Tcp => tcp::inbound(worker, connection, stream).await,
    }
}

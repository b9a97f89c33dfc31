//! To the local application.

use std::{rc::Rc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use weft_engine::decide::{Peer, Scope, Verdict, decide_tcp};

use super::{copy_both, session::Session};
use crate::{
    connection::{ConnectionInfo, Stream, Target},
    worker::Worker,
};

/// How long the application may take to accept: it is on the same host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where nothing else is said: no byte in either direction.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// Authorizes a connection to the pod's own port and carries it to the application.
pub(crate) async fn inbound(worker: Rc<Worker>, connection: ConnectionInfo, mut stream: Stream) {
    let Target::App { port, address } = connection.target else {
        return;
    };
    let inbound = worker.config.inbound();
    let service = inbound.as_ref().and_then(|inbound| inbound.service(port));
    let mut session = Session::open(
        &worker,
        &connection,
        (&worker.namespace, service.map_or("", |service| service)),
        worker.inbound_destination(port, address),
    );
    let Some(inbound) = inbound else {
        return session.failed("config_not_loaded");
    };
    let peer = Peer {
        address: connection.peer.ip(),
        identity: connection.peer_identity().map(AsRef::as_ref),
        workload: None,
    };
    let dialled = connection.original_destination.unwrap_or(connection.local);
    let scope = Scope::Inbound(&inbound, port);
    let decision = decide_tcp(scope, (dialled.ip(), port), &peer, &mut ());
    session.reasons(&decision.reasons);
    match decision.verdict {
        Verdict::Proceed(_) => {}
        Verdict::Denied(denial) => return session.denied(denial),
        Verdict::NoRoute | Verdict::Malformed(_) => return session.failed("no_route"),
    }
    drop(decision);
    drop(inbound);
    let mut app = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(app)) => app,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "the application does not accept");
            return session.failed("connect_failure");
        }
        Err(_) => return session.failed("timeout_connect"),
    };
    // Fails only on a socket that is gone; the copy says so.
    let _ = app.set_nodelay(true);
    session.endpoint(address, None);
    let (copied, result) = copy_both(&mut stream, &mut app, IDLE_TIMEOUT).await;
    session.finished(copied, result, &stream);
}

//! To the local application.

use std::{rc::Rc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use weft_engine::decide::{Peer, Scope, Verdict, decide_tcp};

use super::{Answer, copy_both, session::Session};
use crate::{
    connection::{ConnectionInfo, Stream, Target},
    identity::MeshAlpn,
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
    let tls = connection.tls.as_ref();
    let is_told = tls.is_some_and(|tls| tls.alpn == MeshAlpn::TcpConnect);
    let mut caller = Caller {
        stream: &mut stream,
        is_told,
    };
    let Some(inbound) = inbound else {
        caller.tell(Answer::NotTaken).await;
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
        Verdict::Denied(denial) => {
            caller.tell(Answer::Denied).await;
            return session.denied(denial);
        }
        Verdict::NoRoute | Verdict::Malformed(_) => {
            caller.tell(Answer::Denied).await;
            return session.failed("no_route");
        }
    }
    drop(decision);
    drop(inbound);
    let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let mut app = match connected {
        Ok(Ok(app)) => app,
        failed => {
            caller.tell(Answer::NotTaken).await;
            return session.failed(match failed {
                Ok(failed) => {
                    tracing::debug!(%address, ?failed, "the application does not accept");
                    "connect_failure"
                }
                Err(_) => "timeout_connect",
            });
        }
    };
    caller.tell(Answer::Taken).await;
    // Fails only on a socket that is gone; the copy says so.
    let _ = app.set_nodelay(true);
    session.endpoint(address, None, 1);
    let (copied, result) = copy_both(&mut stream, &mut app, IDLE_TIMEOUT).await;
    session.finished(copied, result, &stream);
}

/// Who waits for an answer before it sends anything, or does not.
struct Caller<'s> {
    stream: &'s mut Stream,
    is_told: bool,
}

impl Caller<'_> {
    async fn tell(&mut self, answer: Answer) {
        if self.is_told {
            // A caller that is gone is noticed by what follows.
            let _ = timeout(CONNECT_TIMEOUT, answer.write(self.stream)).await;
        }
    }
}

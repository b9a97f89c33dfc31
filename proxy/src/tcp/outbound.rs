//! To an endpoint of a service, or past the mesh.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use weft_engine::decide::{Peer, Scope, Verdict, decide_tcp, pick_backend};

use super::{copy_both, inbound::IDLE_TIMEOUT, session::Session};
use crate::{
    connection::{ConnectionInfo, Stream, Target},
    upstream::{self, UpstreamStream},
    worker::Worker,
};

/// How long a host outside the mesh may take to accept.
const PASSTHROUGH_TIMEOUT: Duration = Duration::from_secs(10);

/// Routes a connection to a service and carries it to an endpoint.
pub(crate) async fn outbound(worker: Rc<Worker>, connection: ConnectionInfo, mut stream: Stream) {
    let Target::Service(target) = &connection.target else {
        return;
    };
    let mut session = Session::open(
        &worker,
        &connection,
        (&target.namespace, &target.name),
        format!("{}/{}:{}", target.namespace, target.name, target.port),
    );
    let view = worker.config.service(&target.namespace, &target.name).await;
    let Some(view) = view else {
        return session.failed("service_unknown");
    };
    let Some(port) = view.compiled.port(target.port) else {
        return session.failed("service_unknown");
    };
    let peer = Peer {
        address: connection.peer.ip(),
        identity: None,
        workload: Some(&worker.workload),
    };
    let dialled = connection
        .original_destination
        .map(|address| address.ip())
        .or_else(|| view.cluster_ips().first().copied())
        .unwrap_or_else(|| connection.local.ip());
    let scope = Scope::Outbound(port);
    let decision = decide_tcp(scope, (dialled, target.port), &peer, &mut ());
    session.reasons(&decision.reasons);
    let rule = match decision.verdict {
        Verdict::Proceed(rule) => rule,
        Verdict::Denied(denial) => return session.denied(denial),
        Verdict::NoRoute | Verdict::Malformed(_) => return session.failed("no_route"),
    };
    session.route(rule.map(|rule| &*rule.id));
    let backend = match rule {
        None => None,
        Some(rule) => match pick_backend(&rule.backends, fastrand::u64(..)) {
            Some(backend) if !backend.invalid => Some(backend),
            _ => return session.failed("invalid_backend"),
        },
    };
    let (service, service_port) = match backend {
        None => (view.clone(), target.port),
        Some(backend) => {
            let wanted = &backend.service;
            let service = worker.config.service(&wanted.namespace, &wanted.name).await;
            match service {
                Some(service) => (service, wanted.port),
                None => return session.failed("invalid_backend"),
            }
        }
    };
    let idle = port.policy.timeouts.idle.map(Duration::from_millis);
    let connected = upstream::connect_tcp(&worker, &service, service_port, backend).await;
    let mut upstream = match connected {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::debug!(service = %service, %error, "no endpoint could be reached");
            return session.failed(error.flag());
        }
    };
    session.endpoint(upstream.endpoint, upstream.identity.clone());
    // The views are let go: a connection may outlive many of them.
    drop((view, service));
    let idle = idle.unwrap_or(IDLE_TIMEOUT);
    let (copied, result) = match &mut upstream.stream {
        UpstreamStream::Plain(server) => copy_both(&mut stream, server, idle).await,
        UpstreamStream::Tls(server) => copy_both(&mut stream, server, idle).await,
    };
    session.finished(copied, result, &stream);
}

/// Carries a redirected connection to where it was meant to go: the mesh knows no service
/// there.
pub(crate) async fn passthrough(
    worker: Rc<Worker>,
    connection: ConnectionInfo,
    mut stream: Stream,
    address: SocketAddr,
) {
    let mut session = Session::open(&worker, &connection, ("", ""), address.to_string());
    let own = [worker.bootstrap.outbound, worker.bootstrap.inbound];
    if own.contains(&Some(address)) {
        return session.failed("loop");
    }
    let mut server = match timeout(PASSTHROUGH_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "destination outside the mesh not reached");
            return session.failed("connect_failure");
        }
        Err(_) => return session.failed("timeout_connect"),
    };
    // Fails only on a socket that is gone; the copy says so.
    let _ = server.set_nodelay(true);
    session.endpoint(address, None);
    let (copied, result) = copy_both(&mut stream, &mut server, IDLE_TIMEOUT).await;
    session.finished(copied, result, &stream);
}

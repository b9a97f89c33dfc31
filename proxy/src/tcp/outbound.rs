//! To an endpoint of a service, or past the mesh.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use weft_engine::{
    compile::CompiledPort,
    decide::{Peer, Scope, Verdict, decide_tcp, pick_backend},
    documents::{Backend, Labels},
};

use super::{copy_both, inbound::IDLE_TIMEOUT, session::Session};
use crate::{
    config::{PodCall, ServiceView},
    connection::{ConnectionInfo, Stream, Target},
    upstream::{self, Cluster, Upstreams},
    worker::Worker,
};

/// How long a host outside the mesh may take to accept.
const PASSTHROUGH_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection is meant for, with the configuration of this moment.
enum Meant {
    Service(Arc<ServiceView>, u16),
    /// The pod that the client dialled itself.
    Pod(PodCall),
}

impl Meant {
    fn port(&self) -> Option<&CompiledPort> {
        match self {
            Self::Service(view, port) => view.compiled.port(*port),
            Self::Pod(call) => Some(call.port()),
        }
    }

    /// The cluster that takes the connection, and the labels of the endpoints that may. `None`:
    /// the rule's backend is no service.
    async fn cluster<'b>(
        &self,
        worker: &Rc<Worker>,
        backend: Option<&'b Backend>,
    ) -> Option<(Rc<Cluster>, Option<&'b Labels>)> {
        let Some(backend) = backend else {
            let cluster = match self {
                Self::Service(view, port) => Upstreams::service(worker, view, *port),
                Self::Pod(call) => Upstreams::pod(worker, call),
            };
            return Some((cluster, None));
        };
        let cluster = match self {
            Self::Pod(call) if call.is_meant(backend) => Upstreams::pod(worker, call),
            _ => {
                let wanted = &backend.service;
                let view = worker
                    .config
                    .service(&wanted.namespace, &wanted.name)
                    .await?;
                Upstreams::service(worker, &view, wanted.port)
            }
        };
        Some((cluster, Some(&backend.labels)))
    }
}

/// Routes a connection to a service, or to the pod that was dialled, and carries it to an
/// endpoint.
pub(crate) async fn outbound(worker: Rc<Worker>, connection: ConnectionInfo, mut stream: Stream) {
    let (mut session, meant) = match &connection.target {
        Target::Service(target) => {
            let (namespace, name) = (&*target.namespace, &*target.name);
            let destination = format!("{namespace}/{name}:{}", target.port);
            let session = Session::open(&worker, &connection, (namespace, name), destination);
            let Some(view) = worker.config.service(namespace, name).await else {
                return session.failed("service_unknown");
            };
            (session, Meant::Service(view, target.port))
        }
        Target::Pod(pod) => {
            let call = PodCall::to(&worker.config, pod).await;
            let (namespace, name, port) = call.names();
            let destination = match name {
                "" => pod.address.to_string(),
                name => format!("{namespace}/{name}:{port}"),
            };
            let session = Session::open(&worker, &connection, (namespace, name), destination);
            (session, Meant::Pod(call))
        }
        _ => return,
    };
    let Some(port) = meant.port() else {
        return session.failed("service_unknown");
    };
    let peer = Peer {
        address: connection.peer.ip(),
        identity: None,
        workload: Some(&worker.workload),
    };
    let of_service = match &meant {
        Meant::Service(view, _) => view.cluster_ips().first().copied(),
        Meant::Pod(_) => None,
    };
    let dialled = connection
        .original_destination
        .map(|address| address.ip())
        .or(of_service)
        .unwrap_or_else(|| connection.local.ip());
    // Rules speak of the Service's port, also where a pod's own was dialled.
    let decision = decide_tcp(Scope::Outbound(port), (dialled, port.port), &peer, &mut ());
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
    let idle = port.policy.timeouts.idle.map(Duration::from_millis);
    let Some((cluster, labels)) = meant.cluster(&worker, backend).await else {
        return session.failed("invalid_backend");
    };
    let connected = upstream::connect_tcp(&worker, &cluster, labels).await;
    let mut upstream = match connected {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::debug!(target = ?connection.target, %error, "no endpoint could be reached");
            return session.failed(error.flag());
        }
    };
    let identity = upstream.identity.clone();
    session.endpoint(upstream.endpoint, identity, upstream.attempts);
    // The views are let go: a connection may outlive many of them.
    drop((meant, cluster));
    let idle = idle.unwrap_or(IDLE_TIMEOUT);
    let (copied, result) = copy_both(&mut stream, &mut upstream.stream, idle).await;
    session.finished(copied, result, &stream);
}

/// Carries a redirected connection to where it was meant to go: the mesh knows
/// neither a service nor a pod of its own there.
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
    session.endpoint(address, None, 1);
    let (copied, result) = copy_both(&mut stream, &mut server, IDLE_TIMEOUT).await;
    session.finished(copied, result, &stream);
}

//! From "this endpoint" to a connection to it.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::oneshot, task::spawn_local, time::timeout};
use weft_engine::documents::ConnectionPool;

use super::{
    bounds::ConnectionPermit,
    connections::Shared,
    dial::{DialError, Wire, dial},
    lease::{Kind, Lease, Stream},
};
use crate::{
    connection::Gathered,
    h1,
    http::GatheringExecutor,
    identity::IdentityStore,
    upstream::{Cluster, Endpoint, UpstreamError},
};

/// Bytes of a response's headers that are taken.
const MAX_HEADER_BYTES: usize = 128 * 1024;

/// Flow control windows of HTTP/2 between proxies: enough for one stream to fill a fast network,
/// bounded in what a slow reader can make us hold.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// A connection of `endpoint` that speaks `wire`: an idle or shared one, a new one, or the next
/// that becomes free. Waits at most the connect time-out, in a queue of bounded length. `others`:
/// whether the caller would ask another endpoint if this one's network is silent.
pub(crate) async fn acquire(
    cluster: &Rc<Cluster>,
    endpoint: &Rc<Endpoint>,
    wire: Wire,
    identity: &IdentityStore,
    now: Instant,
    others: bool,
) -> Result<Lease, UpstreamError> {
    let policy = cluster.policy();
    let pool = &policy.connection_pool;
    let mut pending = None;
    let deadline = now + Duration::from_millis(pool.connect_timeout.max(1));
    loop {
        let found = match wire {
            Wire::Http2 => shared_connection(cluster, endpoint, pool, identity, others).await?,
            Wire::Http1 | Wire::Tcp => {
                own_connection(cluster, endpoint, pool, identity, now, others).await?
            }
        };
        if let Some(lease) = found {
            return Ok(lease);
        }
        // Idle connections to other endpoints must not keep this one out.
        if cluster.any_endpoint(|other| other.connections.borrow_mut().evict_idle()) {
            // The connection's task gives its permit back when it is polled next.
            tokio::task::yield_now().await;
            if cluster.bounds.has_room() {
                continue;
            }
        }
        if pending.is_none() {
            pending = Some(cluster.bounds.wait().ok_or_else(|| {
                cluster.metrics.overflow("max_pending_requests");
                UpstreamError::Overflow("maxPendingRequests")
            })?);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if timeout(left, cluster.bounds.freed()).await.is_err() {
            cluster.metrics.overflow("max_connections");
            return Err(UpstreamError::Overflow("maxConnections"));
        }
    }
}

/// HTTP/1.1: the most recently used idle connection, or a new one. `None`: no room.
async fn own_connection(
    cluster: &Rc<Cluster>,
    endpoint: &Rc<Endpoint>,
    pool: &ConnectionPool,
    identity: &IdentityStore,
    now: Instant,
    others: bool,
) -> Result<Option<Lease>, UpstreamError> {
    let idle_timeout = Duration::from_millis(pool.idle_timeout.max(1));
    let lease = |connection, uses| Lease {
        kind: Kind::Http1 { connection, uses },
        endpoint: endpoint.clone(),
        cluster: cluster.clone(),
        reused: uses > 0,
    };
    let idle = endpoint
        .connections
        .borrow_mut()
        .take_idle(idle_timeout, now);
    if let Some(idle) = idle {
        return Ok(Some(lease(idle.connection, idle.uses)));
    }
    let Some(permit) = cluster.bounds.open_connection() else {
        return Ok(None);
    };
    let key = &endpoint.key;
    let peer = key.identity.as_ref();
    // Boxed, as everything below that most requests do not come to.
    let in_haste = others && cluster.has_another(endpoint, now);
    let opened = dial(identity, key.address, peer, Wire::Http1, pool, in_haste);
    let opened = Box::pin(opened).await;
    cluster.metrics.connected(opened.as_ref().err());
    Ok(Some(lease(h1::Connection::new(opened?, permit), 0)))
}

/// HTTP/2: a stream of a shared connection. One connection is opened at a time per endpoint, and
/// whoever comes meanwhile waits for it. `None`: no room.
async fn shared_connection(
    cluster: &Rc<Cluster>,
    endpoint: &Rc<Endpoint>,
    pool: &ConnectionPool,
    identity: &IdentityStore,
    others: bool,
) -> Result<Option<Lease>, UpstreamError> {
    // Twice: the connection that was waited for may already be full or gone again.
    for _ in 0..3 {
        let room = endpoint
            .connections
            .borrow_mut()
            .with_room(pool.max_requests_per_connection);
        if let Some(shared) = room {
            let reused = shared.uses.get() > 0;
            return Ok(Some(Lease {
                kind: Kind::Http2(Stream::open(shared)),
                endpoint: endpoint.clone(),
                cluster: cluster.clone(),
                reused,
            }));
        }
        let (tell, told) = oneshot::channel();
        let under_way = {
            let mut connections = endpoint.connections.borrow_mut();
            match connections.opening() {
                Some(waiting) => {
                    waiting.push(tell);
                    true
                }
                None => {
                    let Some(permit) = cluster.bounds.open_connection() else {
                        return Ok(None);
                    };
                    *connections.opening() = Some(vec![tell]);
                    drop(connections);
                    spawn_local(open_shared(
                        cluster.clone(),
                        endpoint.clone(),
                        pool.clone(),
                        identity.clone(),
                        permit,
                        others && cluster.has_another(endpoint, Instant::now()),
                    ));
                    false
                }
            }
        };
        let _ = under_way;
        told.await
            .unwrap_or(Err(DialError::GivenUp(endpoint.key.address)))?;
    }
    Ok(None)
}

/// Runs in a task of its own, so that the request that asked for the connection may go away
/// without failing the others that wait for it.
async fn open_shared(
    cluster: Rc<Cluster>,
    endpoint: Rc<Endpoint>,
    pool: ConnectionPool,
    identity: IdentityStore,
    permit: ConnectionPermit,
    in_haste: bool,
) {
    let key = &endpoint.key;
    let opened = dial(
        &identity,
        key.address,
        key.identity.as_ref(),
        Wire::Http2,
        &pool,
        in_haste,
    )
    .await;
    let handshake = match opened {
        Ok(stream) => {
            let stream = Gathered::new(stream);
            http2::Builder::new(GatheringExecutor(stream.clone()))
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(MAX_HEADER_BYTES as u32)
                // By frames as well: a peer that hangs acknowledges in its kernel and reads nothing.
                // Only while streams are open.
                .keep_alive_interval(pool.tcp_keepalive.idle())
                .keep_alive_timeout(pool.tcp_keepalive.unanswered())
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|error| DialError::Http(key.address, Arc::new(error)))
        }
        Err(error) => Err(error),
    };
    cluster.metrics.connected(handshake.as_ref().err());
    let result = handshake.map(|(sender, connection)| {
        let max_streams = Rc::new(Cell::new(connection.current_max_send_streams().max(1)));
        let current = max_streams.clone();
        spawn_local(async move {
            let _permit = permit;
            let mut connection = pin!(connection);
            poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                if polled.is_pending() {
                    max_streams.set(connection.current_max_send_streams());
                }
                polled.map(|_| ())
            })
            .await;
        });
        endpoint.connections.borrow_mut().share(Rc::new(Shared {
            sender,
            streams: Cell::new(0),
            max_streams: current,
            uses: Cell::new(0),
            since: Cell::new(Instant::now()),
        }));
    });
    let waiting = endpoint.connections.borrow_mut().opening().take();
    for waiter in waiting.into_iter().flatten() {
        let _ = waiter.send(result.clone());
    }
}

/// Closes connections of `cluster` that were idle for too long.
pub(crate) fn sweep(cluster: &Cluster, now: Instant) {
    let idle_timeout = Duration::from_millis(cluster.policy().connection_pool.idle_timeout.max(1));
    cluster.any_endpoint(|endpoint| {
        endpoint.connections.borrow_mut().sweep(idle_timeout, now);
        false
    });
}

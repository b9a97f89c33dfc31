//! One listener's accept loop.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use tokio::{net::TcpStream, sync::Semaphore, task};

use super::{
    Door,
    door::Kind,
    gateway, inbound, outbound,
    socket::{original_destination, register, tune},
};
use crate::{
    observe::{
        Gauge,
        families::{ACCEPT_ERRORS, CONNECTIONS_ACTIVE},
    },
    worker::Worker,
};

/// The pause after a failed accept: out of descriptors, every further attempt fails at once.
const BACKOFF: Duration = Duration::from_millis(20);

/// A connection as it was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Accepts until the drain begins. `permits` bounds the open connections of the worker; when
/// none is left, further connections wait in the kernel's queue.
pub async fn serve(
    worker: Rc<Worker>,
    door: Rc<Door>,
    listener: std::net::TcpListener,
    permits: Arc<Semaphore>,
) {
    let listener = match register(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(address = %door.listen, %error, "listener lost");
            return;
        }
    };
    let direction = door.direction().as_str();
    let active = worker.metrics.gauge(&CONNECTIONS_ACTIVE, &[direction]);
    let drain = worker.drain.clone();
    let mut draining = std::pin::pin!(drain.started());
    loop {
        let permit = tokio::select! {
            biased;
            () = &mut draining => break,
            permit = permits.clone().acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let task = handle(worker.clone(), door.clone(), stream, peer, active.clone());
                task::spawn_local(async move {
                    task.await;
                    drop(permit);
                });
            }
            Err(error) => accept_failed(&worker, direction, &error).await,
        }
    }
    // What the kernel has already completed the handshake of would be reset by closing.
    while let Ok(accepted) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        let Ok((stream, peer)) = accepted else { break };
        task::spawn_local(handle(
            worker.clone(),
            door.clone(),
            stream,
            peer,
            active.clone(),
        ));
    }
}

async fn accept_failed(worker: &Worker, direction: &str, error: &io::Error) {
    let kind = match error.raw_os_error() {
        Some(nix::libc::EMFILE | nix::libc::ENFILE) => "descriptors",
        Some(nix::libc::ENOMEM | nix::libc::ENOBUFS) => "memory",
        // The peer was gone before it was accepted: nothing to wait for.
        Some(nix::libc::ECONNABORTED) => "aborted",
        _ => "other",
    };
    let counter = worker.metrics.counter(&ACCEPT_ERRORS, &[direction, kind]);
    counter.inc();
    if kind != "aborted" {
        // One line when it begins and then one in a thousand: the loop may spin here for hours.
        if counter.get() % 1000 == 1 {
            tracing::error!(direction, %error, "accept failed; raise the limit of open files if it is that");
        }
        tokio::time::sleep(BACKOFF).await;
    }
}

/// Lowers the gauge however the connection ends.
struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

async fn handle(
    worker: Rc<Worker>,
    door: Rc<Door>,
    stream: TcpStream,
    peer: SocketAddr,
    active: Gauge,
) {
    active.add(1);
    let _active = Active(active);
    let _open = worker.drain.open();
    let Ok(local) = stream.local_addr() else {
        return;
    };
    tune(&stream);
    let accepted = Accepted {
        stream,
        peer,
        local,
    };
    match &door.kind {
        Kind::Outbound => {
            let dialled = original_destination(&accepted.stream, local);
            Box::pin(outbound::captured(worker, accepted, dialled)).await;
        }
        Kind::OutboundBound(service) => {
            Box::pin(outbound::bound(worker, accepted, service.clone())).await;
        }
        Kind::Inbound => {
            let dialled = original_destination(&accepted.stream, local);
            Box::pin(inbound::captured(worker, accepted, dialled)).await;
        }
        Kind::InboundBound { app } => {
            let port = door.listen.port();
            Box::pin(inbound::bound(worker, accepted, port, *app)).await;
        }
        Kind::Gateway(listener) => {
            Box::pin(gateway::handle(worker, accepted, listener.clone())).await;
        }
    }
}

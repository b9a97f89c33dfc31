//! How both servers take connections: bounded in number, in the size and time of a head, and in
//! how long one may stand. A server that anyone in the cluster can reach must not be held open.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Connections of one server at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// How long a connection may stand, whatever it does: a scraper dials again, and one that does
/// not read its answer is not waited for.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// The pause after a failed accept: out of descriptors, every further attempt fails at once.
const BACKOFF: Duration = Duration::from_millis(20);

/// Serves until the process ends. `header_timeout` bounds the wait for each request's head.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    header_timeout: Duration,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = permits.clone().acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                sleep(BACKOFF).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_buf_size(MAX_HEAD)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            match timeout(LIFETIME, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "connection ended early"),
                Err(_) => tracing::debug!("connection ended for its age"),
            }
            drop(permit);
        });
    }
}

//! Listening, health, and leaving gracefully.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use super::{
    BookstoreError, Common,
    answer::Instance,
    faults::{self, Faults},
    ledger,
};

/// Requests under way get this long to finish after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);

/// TCP connections that one ledger holds at once; later ones wait in the backlog.
const TCP_CONNECTIONS: usize = 1024;

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) until told to stop.
pub(super) async fn http(
    common: &Common,
    faults: Arc<Faults>,
    app: Router,
) -> Result<(), BookstoreError> {
    let listener = bind(common.listen).await?;
    let stop = stopped()?;
    let app = faults::layer(app, Arc::clone(&faults));
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    alongside_health(common, faults, stop, async { serving.await }).await
}

/// Serves the ledger's TCP protocol until told to stop.
pub(super) async fn tcp(
    common: &Common,
    faults: Arc<Faults>,
    instance: Instance,
) -> Result<(), BookstoreError> {
    let listener = bind(common.listen).await?;
    let stop = stopped()?;
    let ending = stop.clone();
    let counted = Arc::clone(&faults);
    let serving = async move {
        let places = Arc::new(Semaphore::new(TCP_CONNECTIONS));
        let greeting = ledger::greeting(&instance);
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return Ok(());
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ending.cancelled() => break,
            };
            // A connection that was reset before it was accepted is no reason to end.
            let Ok((stream, _)) = accepted else { continue };
            if counted.next().is_some() {
                continue;
            }
            let greeting = greeting.clone();
            let ending = ending.clone();
            tokio::spawn(async move {
                tokio::select! {
                    // The peer's fault, and already visible to the peer.
                    _ = ledger::talk(stream, &greeting) => {}
                    () = ending.cancelled() => {}
                }
                drop(place);
            });
        }
        Ok(())
    };
    alongside_health(common, faults, stop, serving).await
}

/// Runs a service beside its health listener; both end on the signal, within [`DRAIN`].
pub(super) async fn alongside_health(
    common: &Common,
    faults: Arc<Faults>,
    stop: CancellationToken,
    serving: impl Future<Output = std::io::Result<()>>,
) -> Result<(), BookstoreError> {
    let listener = bind(common.health).await?;
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(stop.clone())
        .merge(faults::control(faults));
    let health = tokio::spawn(async move { axum::serve(listener, routes).await });
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = overdue => Ok(()),
    };
    health.abort();
    Ok(ended?)
}

/// Not ready as soon as the service drains, so that no new traffic is sent here.
async fn ready(State(stop): State<CancellationToken>) -> (StatusCode, &'static str) {
    if stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, BookstoreError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BookstoreError::Listen { address, source })
}

/// A token that SIGTERM or Ctrl-C cancels.
pub(super) fn stopped() -> Result<CancellationToken, BookstoreError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(token)
}

mod cluster;
mod shared;
mod standalone;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use weft_engine::identity::SpiffeIdError;

use self::{cluster::cluster, standalone::standalone};
use crate::{
    cli::{Arguments, WorldArguments},
    publish::PublishError,
    serve::ListenError,
    status::StatusError,
};

/// How long everything has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Why the operator ended, other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused something basic.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifests are not there.
    #[error("--manifests {path}: {source}; name a directory that exists")]
    Manifests {
        /// The directory.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No directory to write documents to.
    #[error("--out: {0}")]
    Documents(#[from] PublishError),
    /// No directory to write statuses to.
    #[error("--out: {0}")]
    Statuses(#[from] StatusError),
    /// Proxies could not find it.
    #[error(
        "--reports {0}: proxies need an address that leads here; give --reports-ip (in a pod, its own)"
    )]
    NoAddress(SocketAddr),
    /// The operator's own name is none.
    #[error("--trust-domain or --namespace: {0}")]
    Name(#[from] SpiffeIdError),
    /// An address to listen on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No way to an API server.
    #[error(
        "no Kubernetes client: {0}; in a pod, check its service account; elsewhere, check KUBECONFIG"
    )]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Runs the operator until SIGTERM or SIGINT.
pub fn run(arguments: Arguments) -> Result<(), RunError> {
    // The one TLS provider of this process. A second installation is no error: it is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Files are written on these; more would only queue on the disk.
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            what: "the runtime could not be started",
            source,
        })?;
    runtime.block_on(async {
        match arguments.world {
            WorldArguments::Standalone(arguments) => standalone(arguments).await,
            WorldArguments::Cluster(arguments) => cluster(arguments).await,
        }
    })
}

fn stop_on_signal() -> Result<CancellationToken, RunError> {
    let refused = |source| RunError::System {
        what: "signals cannot be received",
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopping.cancel();
    });
    Ok(stop)
}

/// Waits for the signal, then for everything to end, for a bounded time. A task that ends by
/// itself takes the process with it: half an operator is worse than one that is started again.
async fn finish(mut tasks: JoinSet<()>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            ended = tasks.join_next() => match ended {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "a part of the operator broke");
                    stop.cancel();
                }
            }
        }
    }
    stop.cancel();
    let ended = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!("not everything ended in time");
        tasks.abort_all();
    }
}

//! What proxies have active, as they tell it: `POST /v1/reports` over mesh TLS.
//!
//! Nothing of it is on the path of a request or of a change: a report only ever moves a status.
//! Whom a report speaks for is the certificate's to say (namespace and service account) and the
//! world's (that such a pod exists); of the body only the pod's name is believed, and only then.

/// What is known of every proxy.
mod board;
/// The certificate by which proxies know the operator, and whom it lets in.
mod certificate;
/// From a request to an answer.
mod router;
/// Connections, bounded.
mod server;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use weft_engine::{identity::SpiffeId, report::Report};

use crate::{
    identity::{Account, Authority},
    metrics::Metrics,
    serve::ListenError,
};

pub use board::{Board, Refusal};

/// How often a proxy says something, news or not; less often where there are more than a thousand,
/// so that heartbeats alone are some thirty a second at most.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// Heartbeats that a proxy may miss before it is no longer counted.
pub const MISSED: u32 = 3;

/// Reports that wait for the owner of the world.
const QUEUE: usize = 64;

/// A report on its way to the owner of the world.
#[derive(Debug)]
pub struct Told {
    /// Whose certificate it came with.
    pub from: Account,
    /// What it says.
    pub report: Report,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// What becomes of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken, and the next is expected within this.
    Taken(Duration),
    /// It could not be taken.
    Refused(Refusal),
    /// This operator does not lead.
    NotLeading,
    /// There is no such pod of that account.
    UnknownPod,
}

/// Serves reports on `address` with a certificate for `id`, until `stop` is cancelled. Gives where
/// they arrive, and what is to be run.
///
/// # Errors
/// Where nothing can be listened on at `address`.
pub async fn listen(
    address: SocketAddr,
    id: SpiffeId,
    authority: watch::Receiver<Option<Arc<Authority>>>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(mpsc::Receiver<Told>, impl Future<Output = ()>), ListenError> {
    let (sender, reports) = mpsc::channel(QUEUE);
    let config = Arc::new(ArcSwapOption::empty());
    let trust_domain = id.trust_domain().to_owned();
    let keep = certificate::keep(authority, id, config.clone(), stop.clone());
    let router = router::router(sender, metrics);
    let serve = server::serve(address, router, config, trust_domain, stop).await?;
    let both = async move {
        tokio::join!(keep, serve);
    };
    Ok((reports, both))
}

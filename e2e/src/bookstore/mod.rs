//! The bookstore: five small services in one binary, for the samples, the demo and the stories.
//!
//! Every HTTP, WebSocket and gRPC answer says which instance gave it and which peer the mesh
//! vouched for, so that a client can check what the mesh did. In flow order:

mod arguments;

/// What every answer says about the instance that gave it.
pub mod answer;

mod faults;

mod serve;

mod upstream;

mod catalog;
mod crawler;
mod ledger;
/// The ratings service's messages, server and client.
pub mod ratings;
mod reviews;
mod storefront;
mod websocket;

pub use arguments::{Arguments, Common, Role};
pub use faults::{FaultReport, FaultSettings};
pub(crate) use upstream::through;

use answer::Instance;
use faults::Faults;

/// Why a service could not run.
#[derive(Debug, thiserror::Error)]
pub enum BookstoreError {
    /// A listener could not be opened.
    #[error("cannot listen on {address}: {source}; is another instance running there?")]
    Listen {
        /// The address that was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals cannot be received, or serving failed.
    #[error("the service ended: {0}")]
    Io(#[from] std::io::Error),
}

/// Runs one service until SIGTERM or Ctrl-C, then lets requests under way finish.
pub async fn run(arguments: Arguments) -> Result<(), BookstoreError> {
    let Arguments { common, role } = arguments;
    let instance = Instance {
        service: role.service().to_owned(),
        version: common.version.clone(),
        instance: common.instance.clone(),
    };
    let faults = Faults::new(common.faults.clone());
    match role {
        Role::Storefront(targets) => {
            let app = storefront::router(instance, targets, common.via);
            serve::http(&common, faults, app).await
        }
        Role::Catalog => serve::http(&common, faults, catalog::router(instance)).await,
        Role::Reviews => serve::http(&common, faults, reviews::router(instance)).await,
        Role::Ratings => serve::http(&common, faults, ratings::router(instance)).await,
        Role::Ledger => serve::tcp(&common, faults, instance).await,
        Role::Crawler(targets) => crawler::run(&common, faults, targets).await,
    }
}

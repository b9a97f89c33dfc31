//! Journey 1, a change: from what users write to what proxies load.
//!
//! One binary, two worlds: a real API server, or a directory of manifests. In flow order:

/// How it is started.
pub mod cli;

/// Where objects come from.
pub mod source;

/// Who leads, and may write.
pub mod lease;

/// Who workloads are.
pub mod identity;

/// From a change to documents and statuses.
pub mod reconcile;

/// Where documents go.
pub mod publish;

/// What proxies say that they have active.
pub mod reports;

/// Where statuses go.
pub mod status;

/// What is asked before an object is stored: pods get a proxy, policies a first opinion.
pub mod webhook;

/// What it counts.
pub mod metrics;

/// Metrics, liveness and readiness, over HTTP.
pub mod serve;

/// Connections over TLS, bounded.
mod accept;

/// How the parts are put together, for each world.
pub mod run;

mod backoff;

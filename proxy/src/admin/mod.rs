//! The two servers of the control thread: metrics, readiness and the application's
//! health for the cluster, the admin port for whoever stands on this host.

mod local;
mod metrics;
mod probes;
mod readiness;
mod server;

pub use local::{AdminState, LogFilter, serve as serve_local};
pub use metrics::serve as serve_metrics;
pub use probes::{AppProbe, Probes};
pub use readiness::Readiness;

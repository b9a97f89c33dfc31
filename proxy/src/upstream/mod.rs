//! Endpoint choice, pools, health, connections to the next hop. In flow order:

/// Which endpoint takes the next request.
pub mod balance;

/// When an endpoint is taken out of the balancing.
pub mod outlier;

/// How many retries may be added to the traffic.
pub mod retry_budget;

/// Attempts after one that did nothing.
mod attempts;

/// One endpoint's state.
mod endpoint;

/// One service port: its endpoints, budget and bounds.
mod cluster;

/// Connections: kept, shared, bounded.
pub mod pool;

/// Peers that vanish.
mod liveness;

/// The bytes of a connection to an endpoint.
mod stream;

/// TCP connections for the TCP proxy.
mod tcp;

/// What a cluster counts.
mod metrics;

/// Every cluster of one core.
mod registry;

pub(crate) use attempts::{Attempts, HASTY_ATTEMPTS};
pub use cluster::{Cluster, Policy};
pub use endpoint::{Endpoint, EndpointKey, Outstanding};
pub use registry::Upstreams;
pub use stream::UpstreamStream;
pub use tcp::{TcpUpstream, connect_tcp};

/// Why no endpoint could be reached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is none, or none is ready, or none is in the subset.
    #[error(
        "{0} has no ready endpoint; check that its pods are ready and that the subset's labels match some"
    )]
    NoEndpoint(String),
    /// A bound of the pool was reached.
    #[error("the connection pool's {0} is reached; raise it in a MeshPolicy, or add endpoints")]
    Overflow(&'static str),
    /// No connection could be opened.
    #[error(transparent)]
    Dial(#[from] pool::DialError),
}

impl UpstreamError {
    /// The response flag.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::NoEndpoint(_) => "no_healthy_endpoint",
            Self::Overflow(_) => "overflow",
            Self::Dial(error) => error.flag(),
        }
    }
}

//! The command line, which in a pod is mostly its environment.

use std::net::SocketAddr;

use super::FaultSettings;

/// One instance of a bookstore service.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "bookstore")]
pub struct Arguments {
    /// What every service takes.
    #[command(flatten)]
    pub common: Common,
    /// Which service this is.
    #[command(subcommand)]
    pub role: Role,
}

/// What every service takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Where the service listens.
    #[arg(
        long,
        env = "BOOKSTORE_LISTEN",
        default_value = "0.0.0.0:8080",
        global = true
    )]
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/faults` listen.
    #[arg(
        long,
        env = "BOOKSTORE_HEALTH",
        default_value = "0.0.0.0:8081",
        global = true
    )]
    pub health: SocketAddr,
    /// The version that answers show.
    #[arg(long, env = "BOOKSTORE_VERSION", default_value = "v1", global = true)]
    pub version: String,
    /// The instance that answers show: the pod's name in a cluster.
    #[arg(
        long,
        env = "BOOKSTORE_INSTANCE",
        default_value = "local",
        global = true
    )]
    pub instance: String,
    /// Calls go to this address whatever their host says: the outbound listener of the proxy
    /// beside this instance, where traffic is not captured. Absent: hosts are resolved.
    #[arg(long, env = "BOOKSTORE_VIA", global = true)]
    pub via: Option<SocketAddr>,
    /// How the service fails on purpose.
    #[command(flatten)]
    pub faults: FaultSettings,
}

/// The services.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Role {
    /// HTTP: calls all the others to make one page.
    Storefront(Targets),
    /// HTTP: the books.
    Catalog,
    /// HTTP and WebSocket: what people say about them.
    Reviews,
    /// gRPC: how many stars they have.
    Ratings,
    /// TCP, server first: what was bought.
    Ledger,
    /// No server: calls catalog and reviews every two seconds and prints the answers.
    Crawler(Targets),
}

impl Role {
    /// The service's name.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Storefront(_) => "storefront",
            Self::Catalog => "catalog",
            Self::Reviews => "reviews",
            Self::Ratings => "ratings",
            Self::Ledger => "ledger",
            Self::Crawler(_) => "crawler",
        }
    }
}

/// Whom a client calls, each as `host:port`.
#[derive(Clone, Debug, clap::Args)]
pub struct Targets {
    /// The catalog.
    #[arg(long, env = "BOOKSTORE_CATALOG", default_value = "catalog:80")]
    pub catalog: String,
    /// The reviews.
    #[arg(long, env = "BOOKSTORE_REVIEWS", default_value = "reviews:9080")]
    pub reviews: String,
    /// The ratings.
    #[arg(long, env = "BOOKSTORE_RATINGS", default_value = "ratings:9090")]
    pub ratings: String,
    /// The ledger. TCP has no host header: `--via` does not apply to it.
    #[arg(long, env = "BOOKSTORE_LEDGER", default_value = "ledger:7000")]
    pub ledger: String,
}

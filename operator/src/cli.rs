use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

/// Reconciles Weft's CRDs into config documents and issued identities.
#[derive(Debug, Parser)]
#[command(name = "weft-operator", version, about)]
pub struct Arguments {
    /// Where the objects are.
    #[command(subcommand)]
    pub world: WorldArguments,
}

/// The two worlds.
#[derive(Debug, Subcommand)]
pub enum WorldArguments {
    /// A directory of YAML manifests in, a directory of documents and identities out.
    Standalone(StandaloneArguments),
    /// A Kubernetes API server.
    Cluster(ClusterArguments),
}

/// What both worlds need.
#[derive(Clone, Debug, Args)]
pub struct MeshArguments {
    /// The SPIFFE trust domain of every identity.
    #[arg(long, env = "WEFT_TRUST_DOMAIN", default_value = "cluster.local")]
    pub trust_domain: String,
    /// The cluster's DNS domain: the suffix of a service's full name.
    #[arg(long, env = "WEFT_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// How long an identity lives; it is issued again after two thirds of it. At least 10s.
    #[arg(long, env = "WEFT_LEAF_LIFETIME", default_value = "24h", value_parser = lifetime)]
    pub leaf_lifetime: Duration,
    /// Where /metrics, /healthz and /readyz are served. Default: nowhere.
    #[arg(long, env = "WEFT_METRICS")]
    pub metrics: Option<SocketAddr>,
    /// Where proxies report what they have active, over mesh TLS. Default: nowhere, and they are
    /// not asked.
    #[arg(long, env = "WEFT_REPORTS")]
    pub reports: Option<SocketAddr>,
    /// The address by which proxies reach --reports, if that listens on every address: the pod's
    /// own.
    #[arg(long, env = "WEFT_REPORTS_IP")]
    pub reports_ip: Option<IpAddr>,
}

/// `weft-operator standalone`.
#[derive(Debug, Args)]
pub struct StandaloneArguments {
    /// The directory of manifests: every *.yaml, *.yml and *.json below it.
    #[arg(long, env = "WEFT_MANIFESTS")]
    pub manifests: PathBuf,
    /// Where config/, identities/, ca/ and status/ are written.
    #[arg(long, env = "WEFT_OUT")]
    pub out: PathBuf,
    /// What both worlds need.
    #[command(flatten)]
    pub mesh: MeshArguments,
}

/// `weft-operator cluster`.
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// The operator's own namespace: the Lease, the CA, and the policies that may target the
    /// whole mesh.
    #[arg(long, env = "WEFT_NAMESPACE", default_value = "weft-system")]
    pub namespace: String,
    /// The namespace of the config documents.
    #[arg(long, env = "WEFT_CONFIG_NAMESPACE", default_value = "weft-config")]
    pub config_namespace: String,
    /// How long the leader's Lease lasts; a standby takes over in about that time.
    #[arg(long, env = "WEFT_LEASE_DURATION", default_value = "10s", value_parser = lease)]
    pub lease_duration: Duration,
    /// The webhooks.
    #[command(flatten)]
    pub webhook: WebhookArguments,
    /// What both worlds need.
    #[command(flatten)]
    pub mesh: MeshArguments,
}

/// The webhooks of `weft-operator cluster`.
#[derive(Clone, Debug, Args)]
pub struct WebhookArguments {
    /// Where the webhooks are served, over TLS. Default: nowhere.
    #[arg(long, env = "WEFT_WEBHOOK")]
    pub webhook: Option<SocketAddr>,
    /// The Service by which the API server reaches the webhooks.
    #[arg(long, env = "WEFT_WEBHOOK_SERVICE", default_value = "weft-webhook")]
    pub webhook_service: String,
    /// A further DNS name or address for the webhooks' certificate, where the API server reaches
    /// them other than by their Service. Repeatable.
    #[arg(
        long = "webhook-name",
        env = "WEFT_WEBHOOK_NAMES",
        value_delimiter = ','
    )]
    pub webhook_names: Vec<String>,
    /// How long the webhooks' certificate lives; it is issued again after two thirds of it. At
    /// least 10s.
    #[arg(
        long,
        env = "WEFT_WEBHOOK_CERTIFICATE_LIFETIME",
        default_value = "24h",
        value_parser = lifetime
    )]
    pub webhook_certificate_lifetime: Duration,
    /// The image of the proxy that pods get.
    #[arg(long, env = "WEFT_PROXY_IMAGE", default_value_t = weft_inject::Settings::default().image)]
    pub proxy_image: String,
    /// How that image is pulled.
    #[arg(
        long,
        env = "WEFT_PROXY_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent",
        value_parser = ["IfNotPresent", "Always", "Never"]
    )]
    pub proxy_image_pull_policy: String,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    at_least(text, Duration::from_secs(10))
}

fn lease(text: &str) -> Result<Duration, String> {
    at_least(text, Duration::from_secs(2))
}

fn at_least(text: &str, least: Duration) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text
        .parse()
        .map_err(|error| format!("{error}; write it like 24h, 90m or 10s"))?;
    let duration = Duration::try_from(duration)
        .map_err(|_| "a duration is not negative; write it like 24h, 90m or 10s".to_owned())?;
    if duration < least {
        return Err(format!("it is at least {} s", least.as_secs()));
    }
    Ok(duration)
}

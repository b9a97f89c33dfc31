//! The command line: what a proxy must know before it can ask for anything. Every flag may
//! also be given as an environment variable `WEFT_<FLAG>`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::Parser;
use weft_engine::{documents::ServiceRef, identity::Workload};

use crate::{admin::Probes, observe::Destination};

/// The proxy of the Weft service mesh.
#[derive(Clone, Debug, Parser)]
#[command(name = "weft-proxy", version, about)]
pub struct Bootstrap {
    /// The pod's namespace.
    #[arg(long, env = "WEFT_NAMESPACE")]
    pub namespace: String,
    /// The pod's service account.
    #[arg(long, env = "WEFT_SERVICE_ACCOUNT", default_value = "default")]
    pub service_account: String,
    /// The pod's name.
    #[arg(long, env = "WEFT_POD", default_value = "")]
    pub pod: String,
    /// The pod's labels: `k=v,k=v`.
    #[arg(long, env = "WEFT_LABELS", default_value = "", value_parser = parse_labels)]
    pub labels: Labels,
    /// The pod's labels as the downward API writes them to a file, beside those of --labels.
    #[arg(long, env = "WEFT_LABELS_FILE")]
    pub labels_file: Option<PathBuf>,
    /// The pod's address. A call to it is made from 127.0.0.6, so that the capture sends it
    /// through the inbound listener like anybody's.
    #[arg(long, env = "WEFT_POD_IP")]
    pub pod_ip: Option<IpAddr>,
    /// The application's probes that are answered on the metrics address: JSON, as the injection
    /// writes it.
    #[arg(long, env = "WEFT_PROBES")]
    pub probes: Option<Probes>,

    /// Read config documents from the files of this directory.
    #[arg(
        long,
        env = "WEFT_CONFIG_DIR",
        conflicts_with = "config_api",
        required_unless_present = "config_api"
    )]
    pub config_dir: Option<PathBuf>,
    /// Read config documents from ConfigMaps, over the Kubernetes API.
    #[arg(long, env = "WEFT_CONFIG_API")]
    pub config_api: bool,
    /// The API server; in a pod the service account's own is found.
    #[arg(long, env = "WEFT_API_SERVER")]
    pub api_server: Option<String>,
    /// The file of the bearer token for the API server, read again as it is rotated.
    #[arg(
        long,
        env = "WEFT_API_TOKEN_FILE",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    )]
    pub api_token_file: PathBuf,
    /// The file of the API server's CA certificates.
    #[arg(
        long,
        env = "WEFT_API_CA_FILE",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    )]
    pub api_ca_file: PathBuf,
    /// The namespace of the ConfigMaps.
    #[arg(long, env = "WEFT_CONFIG_NAMESPACE", default_value = "weft-config")]
    pub config_namespace: String,
    /// The directory of tls.crt, tls.key and ca.crt. Without it there is no mesh TLS.
    #[arg(long, env = "WEFT_IDENTITY_DIR")]
    pub identity_dir: Option<PathBuf>,
    /// Keeps the last good documents, so that a restart needs neither operator nor API server.
    #[arg(long, env = "WEFT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,

    /// Worker threads; 0: one per core.
    #[arg(long, env = "WEFT_WORKERS", default_value_t = 0)]
    pub workers: usize,
    /// Accepted connections per worker; more wait in the kernel's queue.
    #[arg(long, env = "WEFT_MAX_CONNECTIONS", default_value_t = 16_384)]
    pub max_connections: usize,

    /// Where the application's redirected connections (or, not redirected, HTTP requests that
    /// name a service by `Host`) arrive.
    #[arg(long, env = "WEFT_OUTBOUND")]
    pub outbound: Option<SocketAddr>,
    /// `ADDR=namespace/service:port`: a listener for one service port. Repeatable.
    #[arg(long, env = "WEFT_OUTBOUND_BIND", value_delimiter = ',')]
    pub outbound_bind: Vec<OutboundBind>,
    /// Where redirected connections to the pod arrive.
    #[arg(long, env = "WEFT_INBOUND")]
    pub inbound: Option<SocketAddr>,
    /// `LISTEN=APP`: a listener on the pod's own port, and where the application listens.
    /// Repeatable.
    #[arg(long, env = "WEFT_INBOUND_BIND", value_delimiter = ',')]
    pub inbound_bind: Vec<InboundBind>,
    /// `namespace/name` of the Gateway that this proxy is.
    #[arg(long, env = "WEFT_GATEWAY", value_parser = parse_pair)]
    pub gateway: Option<(String, String)>,
    /// `ADDR=listener`: where a listener of the Gateway listens. Repeatable.
    #[arg(
        long,
        env = "WEFT_GATEWAY_BIND",
        value_delimiter = ',',
        requires = "gateway"
    )]
    pub gateway_bind: Vec<GatewayBind>,
    /// `listener=DIR`: the certificate (tls.crt, tls.key) that a listener of protocol HTTPS shows.
    /// Repeatable; read again as it is rotated.
    #[arg(
        long,
        env = "WEFT_GATEWAY_CERTIFICATE",
        value_delimiter = ',',
        requires = "gateway"
    )]
    pub gateway_certificate: Vec<GatewayCertificate>,

    /// Metrics and readiness.
    #[arg(long, env = "WEFT_METRICS")]
    pub metrics: Option<SocketAddr>,
    /// The admin port; only a loopback address is taken.
    #[arg(long, env = "WEFT_ADMIN", value_parser = parse_loopback)]
    pub admin: Option<SocketAddr>,
    /// How long a client may take to say what it speaks, and each request's head once it has
    /// begun: what a connection that sends nothing useful can cost. The pod's own application may
    /// take ten minutes to its first byte.
    #[arg(long, env = "WEFT_HEADER_TIMEOUT", default_value = "10s", value_parser = parse_duration)]
    pub header_timeout: Duration,
    /// How long open connections may go on after SIGTERM.
    #[arg(long, env = "WEFT_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub drain_timeout: Duration,
    /// `stdout`, `off`, or a file.
    #[arg(long, env = "WEFT_ACCESS_LOG", default_value = "stdout", value_parser = parse_destination)]
    pub access_log: Destination,
}

/// A pod's labels.
pub type Labels = BTreeMap<String, String>;

/// A listener for one service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundBind {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The service and port.
    pub service: ServiceRef,
}

/// A listener on the pod's own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundBind {
    /// Where it listens; its port is the pod's own.
    pub listen: SocketAddr,
    /// Where the application listens.
    pub app: SocketAddr,
}

/// A listener of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayBind {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The listener's name.
    pub listener: String,
}

/// Where a listener's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayCertificate {
    /// The listener's name.
    pub listener: String,
    /// The directory of tls.crt and tls.key.
    pub directory: PathBuf,
}

impl Bootstrap {
    /// Takes the labels of --labels-file in.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read_labels(&mut self) -> io::Result<()> {
        if let Some(path) = &self.labels_file {
            self.labels.extend(labels_of(&fs::read_to_string(path)?));
        }
        Ok(())
    }

    /// The workload beside which this proxy stands.
    pub fn workload(&self) -> Workload {
        Workload {
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            pod: self.pod.clone(),
            labels: self.labels.clone(),
        }
    }

    /// The number of workers to start.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n.min(1024),
        }
    }
}

/// Why a flag's value means nothing.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected}, e.g. `{example}`")]
pub struct FlagError {
    expected: &'static str,
    example: &'static str,
}

impl FromStr for OutboundBind {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let error = || FlagError {
            expected: "ADDR=namespace/service:port",
            example: "127.0.0.1:9000=shop/reviews:9080",
        };
        let (listen, service) = text.split_once('=').ok_or_else(error)?;
        let (namespace, rest) = service.split_once('/').ok_or_else(error)?;
        let (name, port) = rest.rsplit_once(':').ok_or_else(error)?;
        if namespace.is_empty() || name.is_empty() {
            return Err(error());
        }
        Ok(Self {
            listen: listen.parse().map_err(|_| error())?,
            service: ServiceRef {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                port: port.parse().map_err(|_| error())?,
            },
        })
    }
}

impl FromStr for InboundBind {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let error = || FlagError {
            expected: "LISTEN=APP",
            example: "10.0.0.7:9080=127.0.0.1:9080",
        };
        let (listen, app) = text.split_once('=').ok_or_else(error)?;
        Ok(Self {
            listen: listen.parse().map_err(|_| error())?,
            app: app.parse().map_err(|_| error())?,
        })
    }
}

impl FromStr for GatewayBind {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let error = || FlagError {
            expected: "ADDR=listener",
            example: "0.0.0.0:8080=http",
        };
        let (listen, listener) = text.split_once('=').ok_or_else(error)?;
        Ok(Self {
            listen: listen.parse().map_err(|_| error())?,
            listener: listener.to_owned(),
        })
    }
}

impl FromStr for GatewayCertificate {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let (listener, directory) = text.split_once('=').ok_or(FlagError {
            expected: "listener=DIR",
            example: "https=/etc/weft/certificate",
        })?;
        Ok(Self {
            listener: listener.to_owned(),
            directory: directory.into(),
        })
    }
}

fn parse_labels(text: &str) -> Result<Labels, FlagError> {
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            pair.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or(FlagError {
                    expected: "labels as key=value,key=value",
                    example: "app=reviews,version=v1",
                })
        })
        .collect()
}

/// Reads `key="value"`, one a line; the value is quoted as Go quotes, and a label's value has
/// nothing that is escaped.
fn labels_of(text: &str) -> Labels {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            Some((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn parse_pair(text: &str) -> Result<(String, String), FlagError> {
    text.split_once('/')
        .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
        .ok_or(FlagError {
            expected: "namespace/name",
            example: "edge/public",
        })
}

fn parse_loopback(text: &str) -> Result<SocketAddr, FlagError> {
    text.parse()
        .ok()
        .filter(|address: &SocketAddr| address.ip().is_loopback())
        .ok_or(FlagError {
            expected: "a loopback address and port (the admin port can stop the proxy)",
            example: "127.0.0.1:15000",
        })
}

fn parse_duration(text: &str) -> Result<Duration, FlagError> {
    let error = || FlagError {
        expected: "a duration of whole ms, s, m or h",
        example: "30s",
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| error())?;
    let unit = match text.strip_prefix(digits) {
        Some("ms") => 1,
        Some("s") => 1_000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        _ => return Err(error()),
    };
    Ok(Duration::from_millis(number.saturating_mul(unit)))
}

// Cannot fail: what is not a word is a path.
fn parse_destination(text: &str) -> Result<Destination, Infallible> {
    Ok(match text {
        "stdout" => Destination::Stdout,
        "off" => Destination::Off,
        path => Destination::File(path.into()),
    })
}

#[cfg(test)]
mod tests;

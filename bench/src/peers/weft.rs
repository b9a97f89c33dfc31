//! Weft, standalone: the operator lowers the manifests once, and the proxies load them as they
//! would in a cluster.

mod gateways;
mod mesh;

/// Under an operator that goes on.
pub mod live;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    BenchError,
    backend::Backend,
    running::{Core, Running, free, get},
    tools::Tools,
};
use mesh::{Mesh, NAMESPACE};

/// The pod that is called: its own loopback address, so that it is told from the caller.
const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 101, 0, 2));

/// The host that requests to the callee's side name.
pub(crate) const CALLEE: &str = "server-http.bench";

/// Where an account's identity is below the folder that [`prepare`] was given.
pub(crate) fn identity(folder: &Path, account: &str) -> PathBuf {
    folder.join("out/identities").join(NAMESPACE).join(account)
}

/// Which proxies there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// The caller's alone; the backend has none.
    Outbound,
    /// The callee's alone; the caller has none and speaks plaintext.
    Inbound,
    /// Both, with mutual TLS between.
    Pair,
    /// A gateway with one route and nothing else.
    BareGateway,
    /// A gateway with routes, policies, retries, outlier detection, metrics and access log.
    FullGateway,
    /// A gateway that ends TLS.
    TlsGateway,
}

/// Which service is called, and so what is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Bytes.
    Tcp,
    /// gRPC.
    Grpc,
    /// WebSocket.
    WebSocket,
    /// Bytes without end.
    Bulk,
    /// HTTP/1.1 with an application that ends the mesh's TLS itself.
    Tls,
    /// HTTP/1.1 with many endpoints.
    Many,
}

impl Spoken {
    /// In the order of the services' ports.
    const ALL: [Self; 8] = [
        Self::Http1,
        Self::Http2,
        Self::Tcp,
        Self::Grpc,
        Self::WebSocket,
        Self::Bulk,
        Self::Tls,
        Self::Many,
    ];

    fn is_bytes(self) -> bool {
        matches!(self, Self::Tcp | Self::Bulk)
    }
}

/// A program that a proxy runs under, such as valgrind with its arguments.
pub type Under<'a> = dyn Fn(&str, Command) -> Command + 'a;

/// A set-up that is prepared but not started.
#[derive(Debug)]
pub struct Prepared {
    /// The command of each proxy and where its readiness is told, the callee's first.
    pub proxies: Vec<(&'static str, Command, SocketAddr)>,
    /// Where requests go.
    pub front: SocketAddr,
    /// The host they name.
    pub host: String,
    /// Where the called pod listens.
    pub pod: SocketAddr,
}

/// Lowers the manifests into `folder` and says how the proxies are started. `certificate`: what a
/// gateway shows.
pub fn prepare(
    tools: &Tools,
    backend: &Backend,
    sides: Sides,
    spoken: Spoken,
    folder: &Path,
    core: Core,
    certificate: &Path,
) -> Result<Prepared, BenchError> {
    let mesh = Mesh::of(backend, sides == Sides::Inbound)?;
    let out = lower(tools, &mesh.manifests(), folder)?;
    let front = free()?;
    let called = mesh.port(spoken)?;
    let side = match sides {
        Sides::Pair | Sides::Inbound => "server",
        _ => "origin",
    };
    let service = format!("{side}-{}", called.name);
    let mut prepared = Prepared {
        proxies: Vec::new(),
        front,
        host: format!("{service}.{NAMESPACE}:{}", called.port),
        pod: called.pod,
    };
    let proxy = |account: &'static str, log: &str| proxy(tools, &out, folder, account, log, core);
    if matches!(sides, Sides::Pair | Sides::Inbound) {
        let (mut command, ready) = proxy("server", "off")?;
        command.args(["--pod", "server-1", "--labels", "app=server"]);
        let app = called.backend.first().copied().unwrap_or(backend.plain);
        command.args(["--inbound-bind", &format!("{}={app}", called.pod)]);
        prepared.proxies.push(("server", command, ready));
    }
    match sides {
        Sides::Inbound => {
            prepared.front = called.pod;
            prepared.host = format!("{service}.{NAMESPACE}");
        }
        Sides::Pair | Sides::Outbound => {
            let (mut command, ready) = proxy("client", "off")?;
            command.args(["--pod", "client-1"]);
            if spoken.is_bytes() {
                let bind = format!("{front}={NAMESPACE}/{service}:{}", called.port);
                command.args(["--outbound-bind", &bind]);
            } else {
                command.args(["--outbound", &front.to_string()]);
            }
            prepared.proxies.push(("client", command, ready));
        }
        Sides::BareGateway | Sides::FullGateway | Sides::TlsGateway => {
            let access = folder.join("access.log").to_string_lossy().into_owned();
            let (name, log) = match sides {
                Sides::FullGateway => ("full", access.as_str()),
                Sides::TlsGateway => ("tls", "off"),
                _ => ("bare", "off"),
            };
            let (mut command, ready) = proxy("gateway", log)?;
            command.args(["--pod", "gateway-1"]);
            command.args(["--gateway", &format!("{NAMESPACE}/{name}")]);
            command.args(["--gateway-bind", &format!("{front}=main")]);
            if sides == Sides::TlsGateway {
                let certificate = format!("main={}", certificate.display());
                command.args(["--gateway-certificate", &certificate]);
            }
            prepared.proxies.push(("gateway", command, ready));
        }
    }
    Ok(prepared)
}

impl Prepared {
    /// Starts the proxies, each under what `under` makes of its command, and waits for them.
    pub fn start(self, folder: &Path, under: &Under) -> Result<Vec<Running>, BenchError> {
        let mut running = Vec::new();
        for (name, command, ready) in self.proxies {
            let log = folder.join(format!("{name}.log"));
            let proxy = Running::start(&format!("weft-proxy ({name})"), under(name, command), log)?;
            proxy.until("is not ready", || {
                matches!(get(ready, "localhost", "/ready"), Some((200, _)))
            })?;
            running.push(proxy);
        }
        Ok(running)
    }
}

/// The operator's documents and identities of `manifests`; it has ended when this returns.
pub(crate) fn lower(tools: &Tools, manifests: &str, folder: &Path) -> Result<PathBuf, BenchError> {
    let (input, out) = (folder.join("manifests"), folder.join("out"));
    fs::create_dir_all(&input).map_err(BenchError::file(&input))?;
    let file = input.join("mesh.yaml");
    fs::write(&file, manifests).map_err(BenchError::file(&file))?;
    let mut command = Command::new(tools.own("weft-operator")?);
    command.arg("standalone").arg("--manifests").arg(&input);
    command.arg("--out").arg(&out);
    let mut operator = Running::start("weft-operator", command, folder.join("operator.log"))?;
    let ready = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("ready "));
        line.map(str::to_owned)
    };
    operator.until("was not ready", || ready(&operator.output()).is_some())?;
    let line = ready(&operator.output()).unwrap_or_default();
    operator.stop(Duration::from_secs(5));
    if !line.ends_with("problems=0") {
        return Err(operator.error(format!("says `{line}` of the benchmark's manifests")));
    }
    Ok(out)
}

/// A proxy's command without its listeners, and where it tells its readiness.
pub(crate) fn proxy(
    tools: &Tools,
    out: &Path,
    folder: &Path,
    account: &str,
    access_log: &str,
    core: Core,
) -> Result<(Command, SocketAddr), BenchError> {
    let metrics = free()?;
    let state = folder.join(format!("state-{account}"));
    fs::create_dir_all(&state).map_err(BenchError::file(&state))?;
    let mut command = core.pinned(&tools.released("weft-proxy")?);
    command.args(["--namespace", NAMESPACE, "--service-account", account]);
    command.args(["--workers", "1", "--drain-timeout", "1s"]);
    command.args([
        "--metrics",
        &metrics.to_string(),
        "--access-log",
        access_log,
    ]);
    command.arg("--config-dir").arg(out.join("config"));
    let identity = out.join("identities").join(NAMESPACE).join(account);
    command.arg("--identity-dir").arg(identity);
    command.arg("--state-dir").arg(state);
    Ok((command, metrics))
}

/// The sum of a metric's series that have `label`, at a proxy's metrics address.
pub(crate) fn counted(metrics: SocketAddr, metric: &str, label: &str) -> u64 {
    let text = get(metrics, "localhost", "/metrics").map(|(_, body)| body);
    let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
    text.lines()
        .filter(|line| line.starts_with(metric) && line.contains(label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

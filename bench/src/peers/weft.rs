//! Weft, standalone: the operator lowers the manifests once, and the proxies load them as they
//! would in a cluster.

pub(crate) mod mesh;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    BenchError,
    running::{Core, Running, free, get},
    tools::Tools,
};
use mesh::{Mesh, NAMESPACE};

/// The pod that is called: its own loopback address, so that it is told from the caller.
const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 101, 0, 2));

/// The host that requests to the callee's side name.
pub(crate) const CALLEE: &str = "server-http.bench";

/// Where a caller's identity is below the folder that [`prepare`] was given.
pub(crate) fn caller(folder: &Path) -> PathBuf {
    folder.join("out/identities").join(NAMESPACE).join("client")
}

/// Where the backend listens.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// HTTP/1.1, and bytes.
    pub plain: SocketAddr,
    /// HTTP/2 with prior knowledge.
    pub http2: SocketAddr,
    /// HTTP/1.1 over TLS.
    pub tls: SocketAddr,
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
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Bytes.
    Tcp,
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
}

/// Lowers the manifests into `folder` and says how the proxies are started.
pub fn prepare(
    tools: &Tools,
    backend: Backend,
    sides: Sides,
    spoken: Spoken,
    folder: &Path,
    core: Core,
) -> Result<Prepared, BenchError> {
    let port = || free().map(|address| SocketAddr::new(POD, address.port()));
    let mesh = Mesh {
        backend: backend.plain,
        backend_http2: backend.http2,
        http: port()?,
        http2: port()?,
        tcp: port()?,
        permissive: sides == Sides::Inbound,
    };
    let out = lower(tools, &mesh.manifests(), folder)?;
    let front = free()?;
    let (suffix, port, own, app) = match spoken {
        Spoken::Http1 => ("http", 80, mesh.http, backend.plain),
        Spoken::Http2 => ("h2", 81, mesh.http2, backend.http2),
        Spoken::Tcp => ("tcp", 82, mesh.tcp, backend.plain),
    };
    let service = if sides == Sides::Pair {
        format!("server-{suffix}")
    } else {
        format!("origin-{suffix}")
    };
    let mut prepared = Prepared {
        proxies: Vec::new(),
        front,
        host: format!("{service}.{NAMESPACE}:{port}"),
    };
    let proxy = |account: &'static str, log: &str| proxy(tools, &out, folder, account, log, core);
    if matches!(sides, Sides::Pair | Sides::Inbound) {
        let (mut command, ready) = proxy("server", "off")?;
        command.args(["--pod", "server-1", "--labels", "app=server"]);
        command.args(["--inbound-bind", &format!("{own}={app}")]);
        prepared.proxies.push(("server", command, ready));
    }
    match sides {
        Sides::Inbound => {
            prepared.front = own;
            prepared.host = format!("server-{suffix}.{NAMESPACE}");
        }
        Sides::Pair | Sides::Outbound => {
            let (mut command, ready) = proxy("client", "off")?;
            command.args(["--pod", "client-1"]);
            if spoken == Spoken::Tcp {
                let bind = format!("{front}={NAMESPACE}/{service}:{port}");
                command.args(["--outbound-bind", &bind]);
            } else {
                command.args(["--outbound", &front.to_string()]);
            }
            prepared.proxies.push(("client", command, ready));
        }
        Sides::BareGateway | Sides::FullGateway => {
            let full = sides == Sides::FullGateway;
            let access = folder.join("access.log");
            let log = if full {
                access.to_string_lossy()
            } else {
                "off".into()
            };
            let name = if full { "full" } else { "bare" };
            let (mut command, ready) = proxy("gateway", &log)?;
            command.args(["--pod", "gateway-1"]);
            command.args(["--gateway", &format!("{NAMESPACE}/{name}")]);
            command.args(["--gateway-bind", &format!("{front}=http")]);
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

/// A caller's proxy under an operator that goes on.
#[derive(Debug)]
pub struct Live {
    /// The proxy.
    pub proxy: Running,
    /// Where requests go.
    pub front: SocketAddr,
    /// The service that changes.
    pub host: String,
    metrics: SocketAddr,
    route: PathBuf,
    _operator: Running,
}

impl Live {
    /// Adds the benchmark's own mesh to the manifests in `folder` and starts both on them.
    pub fn start(tools: &Tools, backend: Backend, folder: &Path) -> Result<Self, BenchError> {
        // Not the backend's address: what lies there would be taken for the pod.
        let any = SocketAddr::new(POD, free()?.port());
        let mesh = Mesh {
            backend: backend.plain,
            backend_http2: backend.http2,
            http: any,
            http2: any,
            tcp: any,
            permissive: true,
        };
        let manifests = folder.join("manifests");
        let file = manifests.join("mesh.yaml");
        fs::write(&file, mesh.manifests()).map_err(BenchError::file(&file))?;
        let out = folder.join("out");
        let mut command = Core::Others.pinned(&tools.own("weft-operator")?);
        command.arg("standalone").arg("--manifests").arg(&manifests);
        command.arg("--out").arg(&out);
        let operator = Running::start("weft-operator", command, folder.join("operator.log"))?;
        operator.until("was not ready", || {
            operator
                .output()
                .lines()
                .any(|line| line.starts_with("ready "))
        })?;
        let (mut command, metrics) = proxy(tools, &out, folder, "client", "off", Core::Measured)?;
        let front = free()?;
        command.args(["--pod", "client-1", "--outbound", &front.to_string()]);
        let proxy = Running::start("weft-proxy", command, folder.join("proxy.log"))?;
        proxy.until("is not ready", || {
            matches!(get(metrics, "localhost", "/ready"), Some((200, _)))
        })?;
        let live = Self {
            proxy,
            front,
            host: format!("changing.{NAMESPACE}:80"),
            metrics,
            route: manifests.join("changing.yaml"),
            _operator: operator,
        };
        let service = mesh::changing(backend.plain);
        let path = manifests.join("changing-service.yaml");
        fs::write(&path, service).map_err(BenchError::file(&path))?;
        live.change(0)?;
        live.proxy.until("does not know the changing service", || {
            matches!(get(live.front, &live.host, "/"), Some((200, _)))
        })?;
        Ok(live)
    }

    /// Gives the route of the changing service another response header.
    pub fn change(&self, edition: u32) -> Result<(), BenchError> {
        crate::reload::renamed(&self.route, &mesh::changing_route(edition))
    }

    /// The sum of a metric's series that have `label`.
    pub fn counted(&self, metric: &str, label: &str) -> u64 {
        counted(self.metrics, metric, label)
    }
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

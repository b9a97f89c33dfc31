use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    counted,
    mesh::{Mesh, NAMESPACE, changing, changing_route},
    proxy,
};
use crate::{
    BenchError,
    backend::Backend,
    reload::renamed,
    running::{Core, Running, free, get},
    tools::Tools,
};

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
    pub fn start(tools: &Tools, backend: &Backend, folder: &Path) -> Result<Self, BenchError> {
        // Ports that nothing listens on: what lay there would be taken for the pod.
        let mesh = Mesh::of(backend, true)?;
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
        let service = changing(backend.plain);
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
        renamed(&self.route, &changing_route(edition))
    }

    /// The sum of a metric's series that have `label`.
    pub fn counted(&self, metric: &str, label: &str) -> u64 {
        counted(self.metrics, metric, label)
    }
}

//! What Kubernetes is made of: found where a user already has it, or built once.
//!
//! The order is `KUBEBUILDER_ASSETS` (what controller developers already have), then the cache
//! (`$WEFT_CACHE`, else `~/.cache/weft`, in `bin/<tool>-<version>`), then a build with Go from the
//! pinned modules in `e2e/tools`. The cache stands outside `target/` so that `cargo clean` does not
//! cost the seven minutes that a cold build of kube-apiserver takes on two cores.

mod build;
mod cache;
mod go;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitStatus,
};

pub use cache::Cache;
pub use go::Go;

/// A binary of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The store behind the API server.
    Etcd,
    /// The Kubernetes API itself.
    KubeApiserver,
    /// The command line that users have.
    Kubectl,
    /// Deployments, EndpointSlices, garbage collection and the other controllers.
    KubeControllerManager,
    /// Which pod runs on which node.
    KubeScheduler,
    /// Runs a node's pods.
    Kubelet,
    /// Makes a Service's address lead to its pods.
    KubeProxy,
    /// The names of Services.
    CoreDns,
    /// What keeps a pod's namespaces while its containers come and go.
    Pause,
    /// The package manager, for the chart.
    Helm,
}

impl Tool {
    /// What the API alone needs, the quickest to build first.
    pub const API: [Self; 3] = [Self::Etcd, Self::Kubectl, Self::KubeApiserver];

    /// What a node needs besides.
    pub const NODE: [Self; 6] = [
        Self::Pause,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubelet,
        Self::KubeProxy,
        Self::CoreDns,
    ];

    /// The name of the executable file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubectl => "kubectl",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::CoreDns => "coredns",
            Self::Pause => "pause",
            Self::Helm => "helm",
        }
    }

    /// The version that `e2e/tools` pins, without its `v`.
    #[must_use]
    pub fn version(self) -> &'static str {
        let (module, go_mod) = match self {
            Self::Etcd => (
                "go.etcd.io/etcd/server/v3",
                include_str!("../tools/etcd/go.mod"),
            ),
            Self::CoreDns => (
                "github.com/coredns/coredns",
                include_str!("../tools/coredns/go.mod"),
            ),
            Self::Helm => ("helm.sh/helm/v3", include_str!("../tools/helm/go.mod")),
            // Six lines of our own.
            Self::Pause => return "1.0.0",
            _ => (
                "k8s.io/kubernetes",
                include_str!("../tools/kubernetes/go.mod"),
            ),
        };
        go_mod
            .lines()
            .filter_map(|line| {
                line.trim()
                    .trim_start_matches("require ")
                    .strip_prefix(module)
            })
            .find_map(|rest| rest.trim_start().strip_prefix('v'))
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or("unpinned")
    }

    /// The Go package that the executable is built from.
    fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::KubeProxy => "k8s.io/kubernetes/cmd/kube-proxy",
            Self::CoreDns => "github.com/coredns/coredns",
            Self::Pause => ".",
            Self::Helm => "helm.sh/helm/v3/cmd/helm",
        }
    }

    /// The folder whose `go.mod` and `go.sum` pin everything that goes into the executable.
    fn module_dir(self) -> PathBuf {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
        match self {
            Self::Etcd => tools.join("etcd"),
            Self::CoreDns => tools.join("coredns"),
            Self::Pause => tools.join("pause"),
            Self::Helm => tools.join("helm"),
            _ => tools.join("kubernetes"),
        }
    }
}

/// Why a tool is neither found nor built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Go that can build it.
    #[error(
        "{tool} {version} is neither in KUBEBUILDER_ASSETS nor at {cached}, and cannot be built: {tried}.\n\
         Either install Go 1.21 or later (it fetches the toolchain that the build needs by itself): \
         `apt install golang-go` on Debian 13 or Ubuntu 24.04, \
         `apt install -t bookworm-backports golang-go` on Debian 12, or https://go.dev/dl;\n\
         or set KUBEBUILDER_ASSETS to a folder that holds etcd, kube-apiserver and kubectl \
         (`setup-envtest use -p path` prints one)."
    )]
    NoGo {
        /// What was to be built.
        tool: &'static str,
        /// In which version.
        version: &'static str,
        /// Where the cache would hold it.
        cached: PathBuf,
        /// Which Go was looked for, and what each answered.
        tried: String,
    },
    /// Go was started and did not succeed.
    #[error(
        "building {tool} {version} in {module_dir} failed ({status}); the last lines of {log}:\n{tail}\n\
         Check that the Go module proxy can be reached (`go env GOPROXY`) and that the disk is not full."
    )]
    Build {
        /// What was being built.
        tool: &'static str,
        /// In which version.
        version: &'static str,
        /// The module that pins it.
        module_dir: PathBuf,
        /// How Go ended.
        status: ExitStatus,
        /// What Go printed, in full.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// A build, or the wait for another process's build, did not end in time.
    #[error(
        "{what} did not end within {minutes} minutes; see {log}, and remove nothing from the cache while a build runs"
    )]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The bound.
        minutes: u64,
        /// Where to look.
        log: PathBuf,
    },
    /// The cache folder cannot be used.
    #[error(
        "the cache of built binaries cannot be used at {path}: {source}; set WEFT_CACHE to a folder that can be written"
    )]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither `WEFT_CACHE` nor `HOME` says where the cache is.
    #[error("there is no place for built binaries: neither WEFT_CACHE nor HOME is set")]
    NoCacheDir,
}

/// The path of `tool`: found, or built now with its progress on standard error.
///
/// Blocks for minutes when it builds; call it from a thread that may block.
///
/// # Errors
/// [`Error`] names what was looked for, where, and what to install.
pub fn find_or_build(tool: Tool) -> Result<PathBuf, Error> {
    if let Some(path) = in_assets(tool, env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from)) {
        return Ok(path);
    }
    let cache = Cache::open()?;
    if let Some(path) = cache.lookup(tool) {
        return Ok(path);
    }
    match on_path(tool) {
        Some(path) => Ok(path),
        None => build::build(tool, &cache),
    }
}

/// Whether `tool` is there already, so that nothing has to build it.
#[must_use]
pub fn available(tool: Tool) -> bool {
    in_assets(tool, env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from)).is_some()
        || Cache::open().is_ok_and(|cache| cache.lookup(tool).is_some())
}

/// Of Helm the one that users have is as good as ours: it is their client. The others are pinned,
/// because what they serve is what is tested against.
fn on_path(tool: Tool) -> Option<PathBuf> {
    if tool != Tool::Helm {
        return None;
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(tool.name()))
        .find(|path| path.is_file())
}

/// An empty variable counts as unset, and a folder without the tool as no folder: envtest's own
/// assets always hold all three, other people's may lack kubectl.
fn in_assets(tool: Tool, assets: Option<PathBuf>) -> Option<PathBuf> {
    let path = assets
        .filter(|dir| !dir.as_os_str().is_empty())?
        .join(tool.name());
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests;

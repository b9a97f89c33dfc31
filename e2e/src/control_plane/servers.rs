//! etcd and kube-apiserver: where their binaries are, which ports they have, how they are started.

use std::{
    fs::File,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{
    Error, client_of,
    pki::Pki,
    ports,
    process::{Process, tail},
};
use crate::binaries::{Tool, find_or_build};

/// A local store with `fsync` off answers in microseconds, and so does the API server; this is
/// only how often it is asked.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub(crate) struct Servers {
    etcd: PathBuf,
    api_server: PathBuf,
    etcd_port: u16,
    /// Where the API server listens and is reached.
    address: Ipv4Addr,
    port: u16,
}

impl Servers {
    /// Finds or builds both binaries and kubectl. Blocks while it builds.
    pub(crate) fn find() -> Result<(Self, PathBuf), Error> {
        let servers = Self {
            etcd: find_or_build(Tool::Etcd)?,
            api_server: find_or_build(Tool::KubeApiserver)?,
            etcd_port: 0,
            address: Ipv4Addr::LOCALHOST,
            port: 0,
        };
        Ok((servers, find_or_build(Tool::Kubectl)?))
    }

    /// On the ports that everybody knows, with an API server for nodes and pods at `address`.
    pub(crate) fn for_nodes(mut self, address: Ipv4Addr) -> Self {
        self.etcd_port = 2379;
        self.address = address;
        self.port = 6443;
        self
    }

    pub(crate) fn on_fresh_ports(mut self) -> Result<Self, Error> {
        self.etcd_port = ports::free()?;
        self.port = ports::free()?;
        Ok(self)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    pub(crate) fn etcd_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.etcd_port)
    }

    /// Clients must have a certificate of this control plane's authority: an API server that
    /// reached another's store through a clash of ports would be refused instead of mixing both.
    pub(crate) fn start_etcd(&self, pki: &Pki, dir: &Path) -> Result<Process, Error> {
        let mut command = Command::new(&self.etcd);
        command
            .arg(flag("data-dir", dir.join("etcd")))
            .arg(format!("--listen-client-urls={}", self.etcd_url()))
            .arg(format!("--advertise-client-urls={}", self.etcd_url()))
            // One member has no peers; the port is the kernel's choice.
            .arg("--listen-peer-urls=http://127.0.0.1:0")
            .arg(flag("trusted-ca-file", pki.ca()))
            .arg(flag("cert-file", pki.certificate("etcd")))
            .arg(flag("key-file", pki.key("etcd")))
            .arg("--client-cert-auth")
            // Nothing here survives the process, let alone a power cut.
            .arg("--unsafe-no-fsync")
            .arg("--log-level=warn");
        spawn("etcd", command, dir)
    }

    pub(crate) fn start_api_server(&self, pki: &Pki, dir: &Path) -> Result<Process, Error> {
        let mut command = Command::new(&self.api_server);
        command
            .arg(format!("--etcd-servers={}", self.etcd_url()))
            .arg(flag("etcd-cafile", pki.ca()))
            .arg(flag("etcd-certfile", pki.certificate("etcd")))
            .arg(flag("etcd-keyfile", pki.key("etcd")))
            .arg(format!("--bind-address={}", self.address))
            .arg(format!("--advertise-address={}", self.address))
            .arg(format!("--secure-port={}", self.port))
            .arg(flag("tls-cert-file", pki.certificate("apiserver")))
            .arg(flag("tls-private-key-file", pki.key("apiserver")))
            .arg(flag("client-ca-file", pki.ca()))
            .arg(flag("cert-dir", dir.join("apiserver")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(flag(
                "service-account-key-file",
                pki.token_verification_key(),
            ))
            .arg(flag("service-account-signing-key-file", pki.key("tokens")))
            .arg("--service-cluster-ip-range=10.96.0.0/16")
            .arg("--allow-privileged=true");
        if self.address.is_loopback() {
            command
                // A loopback address is not allowed in the endpoints of the service "kubernetes".
                .arg("--endpoint-reconciler-type=none")
                .arg("--authorization-mode=RBAC");
        } else {
            command
                .arg("--authorization-mode=Node,RBAC")
                .arg(flag("kubelet-client-certificate", pki.certificate("admin")))
                .arg(flag("kubelet-client-key", pki.key("admin")))
                .arg(flag("kubelet-certificate-authority", pki.ca()))
                // Nothing resolves the name of a node.
                .arg("--kubelet-preferred-address-types=InternalIP");
        }
        spawn("kube-apiserver", command, dir)
    }

    /// Waits until `/readyz` answers, and gives up at once where a process has ended.
    pub(crate) async fn wait_ready(
        &self,
        api_server: &Process,
        etcd: Option<&Process>,
        kubeconfig: &Path,
        bound: Duration,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let dir = kubeconfig.parent().unwrap_or(Path::new("."));
        let client = client_of(kubeconfig).await?;
        let mut answer = String::from("none");
        while started.elapsed() < bound {
            for process in std::iter::once(api_server).chain(etcd) {
                if let Some(status) = process.exited() {
                    return Err(Error::Ended {
                        process: process.name(),
                        status,
                        tail: tail(&log(dir, process.name()), 12),
                    });
                }
            }
            let request = http::Request::get("/readyz").body(Vec::new());
            let asked = async {
                match request {
                    Ok(request) => client
                        .request_text(request)
                        .await
                        .map_err(|e| e.to_string()),
                    Err(error) => Err(error.to_string()),
                }
            };
            match tokio::time::timeout(Duration::from_secs(5), asked).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => answer = error,
                Err(_) => answer = "none within 5 s".to_owned(),
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::NotReady {
            url: self.url(),
            after: bound,
            answer,
            tail: tail(&log(dir, "kube-apiserver"), 12),
        })
    }
}

pub(crate) fn log(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log"))
}

pub(crate) fn spawn(name: &'static str, command: Command, dir: &Path) -> Result<Process, Error> {
    let path = log(dir, name);
    // A restart writes on: what was said before it stays readable.
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|file| Process::spawn(name, command, file))
        .map_err(|source| Error::Files { path, source })
}

pub(crate) fn flag(name: &str, value: PathBuf) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

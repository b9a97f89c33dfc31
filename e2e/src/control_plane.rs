//! A real Kubernetes API on loopback: etcd, kube-apiserver and kubectl, owned by one test process.
//!
//! It is the API only: no kubelet, no scheduler and no controllers, so nothing garbage-collects
//! owned objects, fills EndpointSlices or removes the content of a deleted namespace. What a test
//! wants to exist, it creates; what it wants gone, it deletes.
//!
//! Nothing is left behind, however the process ends: the kernel kills etcd and kube-apiserver with
//! it, and [`work_dir`] removes the files.

mod error;
pub(crate) mod kubeconfig;
mod kubectl;
pub mod objects;
pub(crate) mod pki;
mod ports;
pub mod process;
pub(crate) mod servers;
mod shared;
mod work_dir;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};

pub use error::Error;
pub use kubectl::{Kubectl, Printed};
use pki::Pki;
use process::Process;
use servers::Servers;
use work_dir::WorkDir;

/// From the start of the processes to a ready API. Three seconds on two idle cores; the bound is
/// for a machine that builds at the same time.
const READY_BOUND: Duration = Duration::from_secs(90);
/// How long the API server has for a graceful stop. It lingers for a minute if its etcd is gone,
/// which is why it is stopped first and not waited for longer than this.
const STOP_BOUND: Duration = Duration::from_secs(5);
/// A clash is another process taking the port between its choice and its use.
const PORT_ATTEMPTS: usize = 5;

/// A running API server and its store. Dropping it stops both.
#[derive(Debug)]
pub struct ControlPlane {
    // In this order dropped: the API server, its etcd, then the files of both.
    api_server: Mutex<Option<Process>>,
    etcd: Mutex<Option<Process>>,
    servers: Servers,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    took: Duration,
    dir: WorkDir,
}

impl ControlPlane {
    /// Finds or builds the binaries, then starts a control plane of its own, with its own
    /// certificates, ports and folder, and waits until `/readyz` says ok.
    ///
    /// # Errors
    /// [`Error`] says which process did not start and quotes its log.
    pub async fn start() -> Result<Self, Error> {
        let (servers, kubectl) = tokio::task::spawn_blocking(Servers::find)
            .await
            .map_err(Error::Task)??;
        let started = Instant::now();
        let dir = WorkDir::create()?;
        let pki = Pki::generate(dir.path())?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::attempt(&servers, &pki, &dir).await {
                Ok((api_server, etcd, servers, kubeconfig)) => {
                    return Ok(Self {
                        api_server: Mutex::new(Some(api_server)),
                        etcd: Mutex::new(Some(etcd)),
                        servers,
                        kubeconfig,
                        kubectl,
                        took: started.elapsed(),
                        dir,
                    });
                }
                Err(error) if error.is_port_clash() && attempts < PORT_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(
        servers: &Servers,
        pki: &Pki,
        dir: &WorkDir,
    ) -> Result<(Process, Process, Servers, PathBuf), Error> {
        let servers = servers.clone().on_fresh_ports()?;
        let kubeconfig = dir.path().join("admin.kubeconfig");
        kubeconfig::write(
            &kubeconfig,
            &servers.url(),
            &pki.ca(),
            &kubeconfig::Credential::Certificate {
                certificate: &pki.certificate("admin"),
                key: &pki.key("admin"),
            },
        )?;
        // Both at once: the API server waits for its store by itself.
        let etcd = servers.start_etcd(pki, dir.path())?;
        let api_server = servers.start_api_server(pki, dir.path())?;
        servers
            .wait_ready(&api_server, Some(&etcd), &kubeconfig, READY_BOUND)
            .await?;
        Ok((api_server, etcd, servers, kubeconfig))
    }

    /// The kubeconfig of a cluster administrator (`system:masters`).
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The address of the API server, such as `https://127.0.0.1:24817`.
    #[must_use]
    pub fn url(&self) -> String {
        self.servers.url()
    }

    /// The processes of the API server and of its store, where they run.
    #[must_use]
    pub fn pids(&self) -> [Option<u32>; 2] {
        [&self.api_server, &self.etcd].map(|slot| lock(slot).as_ref().map(Process::pid))
    }

    /// A client of the store itself, by etcd's JSON gateway: for objects in a state that only nodes
    /// would bring about.
    ///
    /// # Errors
    /// Where its kubeconfig cannot be written or turned into a client.
    pub async fn store(&self) -> Result<Client, Error> {
        let pki = Pki::at(self.dir.path());
        let path = self.dir.path().join("etcd.kubeconfig");
        let credential = kubeconfig::Credential::Certificate {
            certificate: &pki.certificate("etcd"),
            key: &pki.key("etcd"),
        };
        kubeconfig::write(&path, &self.servers.etcd_url(), &pki.ca(), &credential)?;
        client_of(&path).await
    }

    /// How long it took from the binaries to a ready API.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// A folder of this control plane's own, removed with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A client with the rights of an administrator. Each belongs to the runtime that asked for
    /// it: a client must not be carried from one test's runtime to another's.
    ///
    /// # Errors
    /// Where the kubeconfig cannot be turned into a client.
    pub async fn client(&self) -> Result<Client, Error> {
        client_of(&self.kubeconfig).await
    }

    /// A client with the rights of the service account `name` in `namespace`.
    ///
    /// # Errors
    /// Where the service account does not exist or the API server refuses a token.
    pub async fn service_account_client(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Client, Error> {
        client_of(&self.service_account_kubeconfig(namespace, name).await?).await
    }

    /// A token of the service account `name` in `namespace`, valid for an hour, as a pod would
    /// have it projected.
    ///
    /// # Errors
    /// Where the service account does not exist or the API server refuses a token.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<String, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer: TokenRequest = accounts
            .create_subresource("token", name, &PostParams::default(), &request)
            .await
            .map_err(Error::client("cannot ask for a service account token"))?;
        Ok(answer
            .status
            .and_then(|status| status.token)
            .unwrap_or_default())
    }

    /// A kubeconfig file with a token of the service account `name` in `namespace`.
    ///
    /// # Errors
    /// Where the service account does not exist or the file cannot be written.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf, Error> {
        let token = self.service_account_token(namespace, name).await?;
        let path = self
            .dir
            .path()
            .join(format!("{namespace}.{name}.kubeconfig"));
        kubeconfig::write(
            &path,
            &self.url(),
            &self.dir.path().join("ca.crt"),
            &kubeconfig::Credential::Token(&token),
        )?;
        Ok(path)
    }

    /// kubectl with the rights of an administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.kubectl, &self.kubeconfig, self.dir.path())
    }

    /// Stops the API server and leaves its store: what the rest of the mesh does meanwhile is what
    /// a test of an outage looks at. Nothing happens where it is stopped already.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub async fn stop_api_server(&self) -> Result<(), Error> {
        let process = take(&self.api_server);
        tokio::task::spawn_blocking(move || process.map(|mut process| process.stop(STOP_BOUND)))
            .await
            .map_err(Error::Task)?;
        Ok(())
    }

    /// Starts the API server again, on the same port and store, and waits until it is ready.
    ///
    /// # Errors
    /// Where another process has taken the port for longer than the bound, or it does not start.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        if lock(&self.api_server).is_some() {
            return Ok(());
        }
        let pki = Pki::at(self.dir.path());
        let mut attempts = 0;
        loop {
            attempts += 1;
            let process = self.servers.start_api_server(&pki, self.dir.path())?;
            let ready = self
                .servers
                .wait_ready(&process, None, &self.kubeconfig, READY_BOUND)
                .await;
            match ready {
                Ok(()) => {
                    *lock(&self.api_server) = Some(process);
                    return Ok(());
                }
                Err(error) if error.is_port_clash() && attempts < PORT_ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for mut process in [take(&self.api_server), take(&self.etcd)]
            .into_iter()
            .flatten()
        {
            process.stop(STOP_BOUND);
        }
    }
}

pub(crate) async fn client_of(kubeconfig: &Path) -> Result<Client, Error> {
    let failed = |source| Error::Kubeconfig {
        path: kubeconfig.to_owned(),
        source,
    };
    let read = Kubeconfig::read_from(kubeconfig).map_err(failed)?;
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .map_err(failed)?;
    config.connect_timeout = Some(Duration::from_secs(5));
    Client::try_from(config).map_err(Error::client("cannot make a client"))
}

fn lock(slot: &Mutex<Option<Process>>) -> std::sync::MutexGuard<'_, Option<Process>> {
    // The slot is only ever replaced whole, so a panic elsewhere leaves it usable.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(slot: &Mutex<Option<Process>>) -> Option<Process> {
    lock(slot).take()
}

#[cfg(test)]
mod tests;

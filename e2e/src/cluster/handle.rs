//! A cluster, as stories use it: one of their own, or the one that kubectl points at.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    Error, images, part,
    place::{self, Ready},
    processes::{self, PodProcess},
};
use crate::{
    binaries::{Tool, find_or_build},
    control_plane::Kubectl,
};

/// Seconds, once everything is built; but the first run builds Kubernetes.
const START_BOUND: Duration = Duration::from_secs(45 * 60);
const API_SERVER: &str = Tool::KubeApiserver.name();
const END_BOUND: Duration = Duration::from_secs(60);

/// A cluster. Dropping one of one's own takes it down and leaves nothing of it.
#[derive(Debug)]
pub struct Cluster {
    kubectl: Kubectl,
    holder: Option<Child>,
}

impl Cluster {
    /// A cluster of this process's own, with the archives in `images` as its images. It ends with
    /// this process, however that ends. `weft_cluster` is that program.
    ///
    /// # Errors
    /// Why it did not come up; its holder has said more on standard error.
    pub async fn start(weft_cluster: &Path, images: &Path) -> Result<Self, Error> {
        let mut holder = Command::new(weft_cluster)
            .args(["hold", "--tied", "--images"])
            .arg(images)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(Error::files("cannot start", weft_cluster))?;
        let started = Instant::now();
        loop {
            let ended = holder
                .try_wait()
                .map_err(Error::files("cannot wait for", weft_cluster))?;
            if let Some(status) = ended {
                return Err(Error::Command {
                    command: "weft-cluster hold".to_owned(),
                    status: status.to_string(),
                    output: "see above".to_owned(),
                });
            }
            if let Ok(ready) = Ready::read_of(holder.id()) {
                return Ok(Self {
                    kubectl: Kubectl::new(&ready.kubectl, &ready.kubeconfig, place::dir()),
                    holder: Some(holder),
                });
            }
            if started.elapsed() > START_BOUND {
                drop(Self {
                    kubectl: Kubectl::new(Path::new(""), Path::new(""), place::dir()),
                    holder: Some(holder),
                });
                return Err(Error::Late {
                    what: "a cluster".to_owned(),
                    after: START_BOUND,
                    last: "it is not ready".to_owned(),
                    log: place::dir().to_owned(),
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The cluster that kubectl points at: `$KUBECONFIG`, else `~/.kube/config`.
    ///
    /// # Errors
    /// Where there is no kubectl.
    pub fn current() -> Result<Self, Error> {
        let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let kubeconfig = env::var_os("KUBECONFIG")
            .filter(|value| !value.is_empty())
            .map_or_else(|| home.join(".kube/config"), PathBuf::from);
        let kubectl = find_or_build(Tool::Kubectl)?;
        Ok(Self {
            kubectl: Kubectl::new(&kubectl, &kubeconfig, &home),
            holder: None,
        })
    }

    /// kubectl with the rights of its user.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Gives the images of the operator and the proxy another tag, as a new version has.
    ///
    /// # Errors
    /// On a cluster of somebody else, and what containerd says.
    pub fn tag_images(&self, tag: &str) -> Result<(), Error> {
        self.must_be_ours()?;
        images::tag(tag)
    }

    /// Kills the API server, as a crash would. [`Self::start_api_server`] brings it back.
    ///
    /// # Errors
    /// On a cluster of somebody else, and where it does not end.
    pub async fn stop_api_server(&self) -> Result<(), Error> {
        self.must_be_ours()?;
        part::stop(API_SERVER).await
    }

    /// Has the API server started again; it takes seconds until it answers.
    ///
    /// # Errors
    /// On a cluster of somebody else, and where it is not started.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        self.must_be_ours()?;
        part::start(API_SERVER).await
    }

    fn must_be_ours(&self) -> Result<(), Error> {
        if self.is_current() {
            return Err(Error::Requirements(
                "the API server of somebody else's cluster is not stopped".to_owned(),
            ));
        }
        Ok(())
    }

    /// The processes of its pods that run a program, by the program's name; none of a cluster of
    /// somebody else, whose nodes are other machines.
    #[must_use]
    pub fn processes(&self, program: &str) -> Vec<PodProcess> {
        if self.is_current() {
            return Vec::new();
        }
        processes::running(program)
    }

    /// Whether it belongs to somebody else.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.holder.is_none()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(holder) = self.holder.as_mut() else {
            return;
        };
        drop(holder.stdin.take());
        let started = Instant::now();
        while matches!(holder.try_wait(), Ok(None)) {
            if started.elapsed() > END_BOUND {
                // Its first process ends with it; what is left, the next one removes.
                let _ = holder.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

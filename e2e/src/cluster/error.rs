//! What can go wrong between a user and a cluster.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use crate::{binaries, control_plane};

/// Why there is no cluster, or why it did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server, its store or kubectl.
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    /// A part of Kubernetes is neither found nor built.
    #[error(transparent)]
    Binary(#[from] binaries::Error),
    /// This machine cannot hold a cluster.
    #[error("a cluster cannot run here: {0}")]
    Requirements(String),
    /// There is one already.
    #[error(
        "a cluster is up on this machine already; `make cluster-down` takes it down, and CLUSTER=current with its kubeconfig uses it"
    )]
    Up,
    /// A file, mount or cgroup cannot be used.
    #[error("{what} ({path}): {source}")]
    Files {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("the kernel refused {what}: {source}")]
    Kernel {
        /// What.
        what: &'static str,
        /// Why.
        source: nix::errno::Errno,
    },
    /// A command of the machine failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A part of the cluster ended.
    #[error("{part} ended ({status}); the end of {log}:\n{tail}")]
    Ended {
        /// Which one.
        part: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Something did not come about in time.
    #[error("{what} did not come about within {after:?}: {last}; the logs are in {log}")]
    Late {
        /// What was waited for.
        what: String,
        /// The bound.
        after: Duration,
        /// What was seen last.
        last: String,
        /// Where to look.
        log: PathBuf,
    },
}

impl Error {
    pub(super) fn files(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { what, path, source }
    }

    pub(super) fn kernel(what: &'static str) -> impl FnOnce(nix::errno::Errno) -> Self {
        move |source| Self::Kernel { what, source }
    }
}

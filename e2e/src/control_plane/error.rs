//! What can go wrong between a test and its control plane.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use crate::binaries;

/// Why there is no control plane, or why it did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A binary is neither found nor built.
    #[error(transparent)]
    Binary(#[from] binaries::Error),
    /// The folder of this control plane cannot be used.
    #[error(
        "the control plane cannot use its files at {path}: {source}; check TMPDIR and free space"
    )]
    Files {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate cannot be made.
    #[error("the control plane's certificates cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No free port was found on 127.0.0.1.
    #[error("no free port was found on 127.0.0.1 after {0} tries; see `ss -ltn`")]
    NoPort(usize),
    /// A process ended while it should be starting.
    #[error("{process} ended while starting ({status}); the end of its log:\n{tail}")]
    Ended {
        /// Which one.
        process: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        tail: String,
    },
    /// The API server did not become ready.
    #[error(
        "kube-apiserver at {url} is not ready after {after:?} (last answer: {answer}); the end of its log:\n{tail}"
    )]
    NotReady {
        /// Where it listens.
        url: String,
        /// The bound.
        after: Duration,
        /// What `/readyz` said last.
        answer: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A kubeconfig cannot be read.
    #[error("the kubeconfig {path} cannot be used: {source}")]
    Kubeconfig {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// The API server refused or did not answer.
    #[error("{what}: {source}")]
    Client {
        /// What was asked.
        what: &'static str,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// A kind is installed and not served.
    #[error("{name} is not served after {after:?}: {why}; see `kubectl describe crd {name}`")]
    NotServed {
        /// The definition's name.
        name: String,
        /// The bound.
        after: Duration,
        /// What is known.
        why: String,
    },
    /// kubectl answered with an error.
    #[error("kubectl {args} failed ({status}): {stderr}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },
    /// The runtime is shutting down.
    #[error("a blocking task did not end: {0}")]
    Task(tokio::task::JoinError),
}

impl Error {
    pub(super) fn client(what: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Client {
            what,
            source: Box::new(source),
        }
    }

    /// Go's message, from either process, for a port that is taken.
    pub(super) fn is_port_clash(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.contains("address already in use"))
    }
}

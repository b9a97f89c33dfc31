//! Exit codes, which scripts may rely on: 0, 1 and 2 as `command.rs` states them.

use std::{path::PathBuf, process::ExitCode};

use weft_crds::corpus::CorpusError;

/// Bad arguments, or files that cannot be read.
pub(crate) const USAGE: u8 = 2;

/// How a command that could do its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to complain of: 0.
    Clean,
    /// It found what it looks for - errors, failed cases, a changed verdict: 1.
    Findings,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Clean => Self::SUCCESS,
            Outcome::Findings => Self::from(1),
        }
    }
}

/// Why a command could not do its work: 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Manifests or case files that cannot be read.
    #[error(transparent)]
    Input(#[from] CorpusError),
    /// An argument that means nothing.
    #[error("{0}")]
    Argument(String),
    /// The call cannot be followed.
    #[error(transparent)]
    Journey(#[from] weft_engine::journey::JourneyError),
    /// Values of an installation that mean nothing.
    #[error(transparent)]
    Install(#[from] weft_install::Error),
    /// A report that cannot be written.
    #[error("cannot write {}: {source}; check the directory and its permissions", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A value that cannot be shown in the chosen format.
    #[error("cannot show the result as {format}: {message}; try another -o")]
    Format {
        /// `json` or `yaml`.
        format: &'static str,
        /// What the writer said.
        message: String,
    },
}

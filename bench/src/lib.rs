//! Figures, with the command that produced them. In flow order:

/// Manifests of a mesh of any size.
pub mod manifests;

/// What lowering costs without any process around it.
pub mod lowering;

/// What the kernel says of a process.
pub mod footprint;

/// The operator's process, standalone.
pub mod operator;

/// A proxy's process that loads services as they are called.
pub mod proxy;

/// All of it, as a table or as JSON.
pub mod scale;

use std::path::PathBuf;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Files could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The generated manifests are refused: the benchmark, not the mesh, is wrong.
    #[error("a generated manifest is refused: {0}")]
    Manifest(String),
    /// A program could not be started, ended early, or did not do its work in time.
    #[error("{program} {reason}; the end of its log:\n{log}")]
    Process {
        /// The program.
        program: String,
        /// What happened.
        reason: String,
        /// The end of its log.
        log: String,
    },
}

impl BenchError {
    /// For `map_err`: says which file.
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

#[cfg(test)]
mod tests;

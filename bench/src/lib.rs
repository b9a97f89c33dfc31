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

/// All of that, as a table or as JSON.
pub mod scale;

/// Processor time, and what others use of it.
pub mod cpu;

/// Processes of a measurement.
pub mod running;

/// Their place before everything else, where a tail is measured.
pub mod ahead;

/// The programs that are measured and that measure.
pub mod tools;

/// Certificates for the peers.
pub mod pki;

/// One proxy's place in a measurement.
pub mod hop;

/// How each peer is set up.
pub mod peers;

/// What is sent.
pub mod load;

/// What answers behind the proxies.
pub mod backend;

/// The part of it that is ours.
pub mod origin;

/// What is measured under load.
pub mod scenario;

/// Where it takes place.
pub mod stage;

/// The middle of a few rounds.
pub mod statistics;

/// Rounds, and what is made of them.
pub mod rounds;

mod saturate;

/// The path of a request under load.
pub mod path;

/// Handshakes of mutual TLS.
pub mod handshakes;

/// Thousands of connections that say nothing.
pub mod idle;

/// One of a thousand services changes ten times a second.
pub mod reload;

/// The control plane on a real API server.
pub mod control_plane;

/// User instructions of a request.
pub mod instructions;

/// System calls of a request.
pub mod syscalls;

/// Everything that was measured.
pub mod figures;

/// What must be shown.
pub mod reach;

/// Tables, a page, a chart.
pub mod report;

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
    #[error("the benchmark itself is wrong: {0}")]
    Manifest(String),
    /// A program is not there.
    #[error("{program} is missing: {how}")]
    Missing {
        /// The program.
        program: String,
        /// How to get it.
        how: String,
    },
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
    /// The API server, or its store, refused or did not answer.
    #[error("the control plane, {what}: {reason}")]
    Api {
        /// What was asked for.
        what: String,
        /// What became of it.
        reason: String,
    },
}

impl BenchError {
    /// For `map_err`: says what was asked for.
    fn api<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Api {
            what,
            reason: error.to_string(),
        }
    }

    /// For `map_err`: says which file.
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

#[cfg(test)]
mod tests;

//! A mesh of processes on loopback, and the tour that checks what it promises. In flow order:

mod layout;

mod child;

mod mesh;

mod clients;

mod flow;

mod report;

mod tour;

mod live;

use std::path::PathBuf;

use clients::Clients;
use mesh::Mesh;
use report::Report;

/// What to run, and how.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "demo")]
pub struct Options {
    /// End after the tour; the exit code says whether every claim held.
    #[arg(long)]
    pub once: bool,
    /// The manifests. They are copied: editing the copy is part of the tour.
    #[arg(long, default_value = "config/samples/bookstore")]
    pub samples: PathBuf,
    /// Where weft-operator, weft-proxy and bookstore are. Default: beside this program.
    #[arg(long)]
    pub bin_dir: Option<PathBuf>,
    /// Leave the working directory (manifests, documents, logs) behind.
    #[arg(long)]
    pub keep: bool,
    /// Only the steps whose name contains this.
    #[arg(long, default_value = "")]
    pub only: String,
}

/// Why the demo, or one step of it, failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Files could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A manifest does not say what is needed.
    #[error("{path}: {reason}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A program could not be started, ended early, or was not ready in time.
    #[error("{name} {reason}\n{log}")]
    Process {
        /// The process.
        name: String,
        /// What happened.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// A request had no answer.
    #[error("{target}: {reason}")]
    Call {
        /// What was called.
        target: String,
        /// Why there is no answer.
        reason: String,
    },
    /// A claim does not hold.
    #[error("{0}")]
    Claim(String),
    /// Another demo holds the addresses.
    #[error("another demo is running on this machine (it holds {0}); end it first")]
    Busy(PathBuf),
}

/// Runs the demo; whether every claim held. Nothing is left running, whatever happens.
pub async fn run(options: Options) -> Result<bool, DemoError> {
    let report = Report::new();
    report.heading("Weft on loopback: operator, proxies and the bookstore");
    let clients = Clients::new();
    let mut mesh = Mesh::prepare(&options)?;
    let outcome = tokio::select! {
        outcome = walk(&options, &mut mesh, &clients, &report) => outcome,
        () = interrupted() => {
            report.note("interrupted: ending what was started");
            Ok(true)
        }
    };
    mesh.stop();
    if options.keep {
        report.note(&format!("kept {}", mesh.keep().display()));
    }
    outcome
}

async fn walk(
    options: &Options,
    mesh: &mut Mesh,
    clients: &Clients,
    report: &Report,
) -> Result<bool, DemoError> {
    mesh.start(clients, report).await?;
    let held = tour::walk(mesh, clients, report, &options.only).await;
    if !options.once {
        live::stay(mesh, clients, report).await?;
    }
    Ok(held)
}

/// Ends on Ctrl-C or SIGTERM; never, if signals cannot be received.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests;

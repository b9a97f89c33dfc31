//! A Kubernetes API on loopback, for use by hand.
//!
//! `weft-controlplane build` fetches what it needs; `weft-controlplane up` starts it, prints where
//! its kubeconfig is, and stays until it is interrupted. Nothing of it is left then.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use weft_e2e::{
    binaries::{Tool, find_or_build},
    control_plane::ControlPlane,
};

#[derive(Parser)]
#[command(
    version,
    about = "A Kubernetes API on loopback: etcd and kube-apiserver, no nodes"
)]
struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find or build etcd, kube-apiserver, kubectl and helm, and print where they are
    Build,
    /// Start, print the kubeconfig, and stay until SIGINT or SIGTERM
    Up {
        /// A file or folder of YAML to apply once it is ready; may be given more than once
        #[arg(long, value_name = "PATH")]
        apply: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Verb::Build => build(),
        Verb::Up { apply } => up(&apply),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "weft-controlplane: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn build() -> Done {
    for tool in Tool::API.into_iter().chain([Tool::Helm]) {
        writeln!(stdout(), "{}", find_or_build(tool)?.display())?;
    }
    Ok(())
}

fn up(apply: &[PathBuf]) -> Done {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            // Before the start, so that an interrupt during it is not the default one.
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let running = async {
                let plane = ControlPlane::start().await?;
                let kubectl = plane.kubectl();
                for path in apply {
                    let args = [
                        "apply",
                        "--server-side",
                        "-R",
                        "-f",
                        &path.to_string_lossy(),
                    ];
                    write!(stdout(), "{}", kubectl.run(&args).await?.stdout)?;
                }
                writeln!(
                    stdout(),
                    "# kube-apiserver at {} is ready ({:.1} s); Ctrl-C stops it\n\
                     export KUBECONFIG={}\n\
                     alias kubectl={}",
                    plane.url(),
                    plane.took().as_secs_f32(),
                    plane.kubeconfig().display(),
                    kubectl.path().display(),
                )?;
                stdout().flush()?;
                std::future::pending::<Done>().await
            };
            tokio::select! {
                done = running => done,
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
            }
        })
}

//! Figures on the command line.

mod commands;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use weft_bench::{
    BenchError, control_plane, instructions, origin, scale, scenario::Scenario, tools::Places,
};

use commands::{Run, Store};

#[derive(Parser)]
#[command(
    name = "weft-bench",
    about = "Figures, with the command that produced them"
)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// What thousands of services cost: lowering, one change, memory. Fails when the cost of one
    /// change grows with the mesh.
    Scale(scale::Options),
    /// The path of a request under load, side by side with other proxies.
    Path {
        /// Which; none: all of them.
        scenarios: Vec<Scenario>,
        #[command(flatten)]
        run: Run,
    },
    /// Handshakes of mutual TLS, full and resumed.
    Handshakes {
        #[command(flatten)]
        run: Run,
    },
    /// One of 1,000 services changes ten times a second; the memory of 1,000 services.
    Reload {
        #[command(flatten)]
        run: Run,
    },
    /// 5,000 connections that say nothing.
    Idle {
        #[command(flatten)]
        run: Run,
    },
    /// The control plane on a real kube-apiserver and etcd: starts, changes, memory, many proxies.
    ControlPlane {
        #[command(flatten)]
        options: control_plane::Options,
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        places: Places,
        /// Enough to see that everything runs.
        #[arg(long)]
        quick: bool,
    },
    /// User instructions of a request, counted by callgrind; with --check, held to the record.
    Instructions {
        #[command(flatten)]
        options: instructions::Options,
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        places: Places,
    },
    /// The backend of what nginx cannot answer; the others start it.
    #[command(hide = true)]
    Origin(origin::Options),
    /// What was measured, as tables; fails where a figure falls short of what must be shown.
    Report {
        #[command(flatten)]
        store: Store,
        /// Writes performance.md and performance.svg to this folder.
        #[arg(long)]
        docs: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Scale(options) => commands::measure_scale(&options),
        What::Path { scenarios, run } => commands::measure_path(&scenarios, &run),
        What::Handshakes { run } => commands::measure_handshakes(&run),
        What::Reload { run } => commands::measure_reload(&run),
        What::Idle { run } => commands::measure_idle(&run),
        What::ControlPlane {
            options,
            store,
            places,
            quick,
        } => {
            let options = if quick { options.quick() } else { options };
            commands::measure_control_plane(&options, &store, &places)
        }
        What::Instructions {
            options,
            store,
            places,
        } => commands::count_instructions(&options, &store, &places),
        What::Origin(options) => {
            origin::serve(options)
                .map(|()| true)
                .map_err(|source| BenchError::File {
                    path: "the backend".into(),
                    source,
                })
        }
        What::Report { store, docs } => commands::tell(&store, docs),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("weft-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

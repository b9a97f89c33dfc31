//! Figures on the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weft_bench::scale;

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
}

fn main() -> ExitCode {
    let What::Scale(options) = Arguments::parse().what;
    let figures = match scale::measure(&options) {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("weft-bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    if options.json {
        match serde_json::to_string_pretty(&figures) {
            Ok(json) => println!("{json}"),
            Err(error) => {
                eprintln!("weft-bench: {error}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        println!("{}", figures.table());
    }
    let growth = figures.growth();
    for grows in &growth {
        eprintln!("weft-bench: {grows}");
    }
    if growth.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

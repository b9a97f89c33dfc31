//! `weft`: what an operator of the mesh types. Everything here asks the engine that the proxies
//! run; nothing is decided twice. In flow order:

mod command;

mod exit;

mod output;

/// Manifests with the line of every field.
mod manifests;

/// What the webhook and the operator would say, offline.
mod lint;

/// Case files against manifests.
mod test;

/// The trace of one request.
mod why;

/// What the webhook would make of pods, offline.
mod inject;

/// What the mesh is in a cluster.
mod install;

/// The CustomResourceDefinitions.
mod crds;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use crate::{
    command::{Cli, Command},
    exit::{Failure, Outcome},
};

/// Reads the command line, does what it says, and tells how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that has gone away is no reason for another code.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(exit::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(&cli) {
        Ok((text, outcome)) => {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            outcome.into()
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr().lock(), "weft: {failure}");
            ExitCode::from(exit::USAGE)
        }
    }
}

fn run(cli: &Cli) -> Result<(String, Outcome), Failure> {
    match &cli.command {
        Command::Lint(arguments) => lint::run(arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Why(arguments) => why::run(arguments),
        Command::Inject(arguments) => inject::run(arguments),
        Command::Install(arguments) => install::install(arguments),
        Command::Uninstall(arguments) => install::uninstall(arguments),
        Command::Crds(arguments) => crds::run(arguments),
    }
}

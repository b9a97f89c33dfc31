//! `weft`: what an operator of the mesh types.

use std::process::ExitCode;

fn main() -> ExitCode {
    weft_cli::main()
}

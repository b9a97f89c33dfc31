//! One service of the bookstore.

use std::process::ExitCode;

use clap::Parser;
use weft_e2e::bookstore::{Arguments, run};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bookstore: {error}");
            ExitCode::FAILURE
        }
    }
}

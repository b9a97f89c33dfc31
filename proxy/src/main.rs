//! The proxy's process: log to standard error, then [`weft_proxy::run`]; or, called as
//! `weft-proxy capture`, [`weft_proxy::capture`]: one image serves both containers of a pod.

use std::{io, process::ExitCode, sync::Arc};

use clap::Parser;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, reload, util::SubscriberInitExt};
use weft_proxy::{admin::LogFilter, bootstrap::Bootstrap, capture};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let is_capture = std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "capture");
    // A subcommand of its own would make every flag of the proxy optional.
    let capture = is_capture.then(|| capture::Arguments::parse_from(std::env::args_os().skip(1)));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(io::stderr);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    if let Some(arguments) = capture {
        return match capture::run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(%error, "nothing is captured");
                ExitCode::FAILURE
            }
        };
    }
    let bootstrap = Bootstrap::parse();
    let log_filter: LogFilter = Arc::new(move |text| {
        let filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    });
    match weft_proxy::run::run(bootstrap, log_filter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the proxy does not start");
            ExitCode::FAILURE
        }
    }
}

//! The operator: `weft-operator standalone` or `weft-operator cluster`.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use weft_operator::{cli::Arguments, run};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's own settings, under the name by which it looks for them: pages that a burst took
/// (the first full lowering takes most) go back within a second and not at the next burst, and
/// there are no more arenas than worker threads. `_RJEM_MALLOC_CONF` in the environment wins.
#[allow(unsafe_code)] // a symbol that C reads; nothing in this program defines it twice
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: Option<&'static u8> =
    b"background_thread:true,narenas:2,dirty_decay_ms:500,muzzy_decay_ms:0\0".first();

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    match run::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}

//! Calls services from a pod, as a user would with curl, and says what came back as JSON.

/// Connections that stay.
mod hold;
/// Calls at a steady rate.
mod load;
/// To other processes of the pod.
mod signal;
/// A greeting and echoes.
mod tcp;
/// One call, over HTTP or gRPC.
mod unary;

use std::{
    io::Write,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::{Parser, Subcommand, value_parser};
use serde_json::{Value, json};
use weft_e2e::probed::{self, Addresses};

/// One call takes no longer.
const CALL: Duration = Duration::from_secs(10);

/// What an application does between SIGTERM and its last call.
const BEFORE_THE_LAST_CALL: Duration = Duration::from_secs(2);

#[derive(Parser)]
#[command(version, about = "Calls services from a pod")]
struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Be a pod's main process until SIGTERM
    Stay {
        /// Call this after SIGTERM, print what came back, and only then end
        #[arg(long)]
        last_call: Option<String>,
        /// Answer probes meanwhile
        #[command(flatten)]
        addresses: Addresses,
        /// Answer them as an application that is not well
        #[arg(long)]
        unwell: bool,
    },
    /// One request; prints status, headers and body
    Get {
        #[command(flatten)]
        call: unary::Call,
        /// Ends with a failure unless the status is 200
        #[arg(long)]
        fail: bool,
    },
    /// Requests at a steady rate, whatever comes back; a line of JSON for each
    Load {
        #[command(flatten)]
        call: unary::Call,
        /// Requests in a second
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=1000))]
        rate: u32,
        /// For how long
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
    /// Keeps connections on which messages come all the time, and opens them again when they end;
    /// a line of JSON for each that ended
    Hold {
        /// ws://reviews:9080/ws (each message is echoed), or grpc://ratings:9090 (a stream)
        url: String,
        /// How many at once
        #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=100))]
        connections: u32,
        /// For how long
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
    /// A line each second over one connection; prints how many came back
    Talk {
        /// host:port
        address: String,
        /// For how long
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
    /// Opens a connection and prints what the server says first, then what it answers to a line
    Tcp {
        /// host:port
        address: String,
    },
    /// Signals processes of this pod by name, where it shares its process namespace
    Signal {
        /// What they get
        signal: signal::Stop,
        /// As in /proc/PID/comm
        process: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        Verb::Stay {
            last_call,
            addresses,
            unwell,
        } => match probed::serve(&addresses, !unwell).await {
            Ok(()) => stay(last_call).await,
            Err(error) => Err(error),
        },
        Verb::Get { call, fail } => unary::once(call, fail).await,
        Verb::Load {
            call,
            rate,
            seconds,
        } => load::run(call, rate, seconds).await,
        Verb::Hold {
            url,
            connections,
            seconds,
        } => hold::run(&url, connections, seconds).await,
        Verb::Talk { address, seconds } => {
            let mut lines = 0;
            let ended = tcp::talk(&address, seconds, &mut lines).await;
            let error = ended.err().map(|error| error.to_string());
            say(&json!({"lines": lines, "error": error}));
            Ok(true)
        }
        Verb::Tcp { address } => {
            let answer = match tokio::time::timeout(CALL, tcp::once(&address)).await {
                Ok(Ok((greeting, echo))) => json!({"greeting": greeting, "echo": echo}),
                Ok(Err(error)) => json!({"error": error.to_string()}),
                Err(_) => json!({"error": "no answer in time"}),
            };
            say(&answer);
            Ok(true)
        }
        Verb::Signal { signal, process } => signal::send(signal, &process),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("caller: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(value: &Value) {
    // A reader that went away wants nothing more.
    let _ = writeln!(std::io::stdout(), "{value}");
}

/// Milliseconds, as JSON has them.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds of Unix time.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, millis)
}

async fn stay(last_call: Option<String>) -> std::io::Result<bool> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    match last_call {
        // As an application that has something to put in order before it ends.
        Some(url) => {
            tokio::time::sleep(BEFORE_THE_LAST_CALL).await;
            unary::once(unary::Call::get(url), false).await
        }
        None => Ok(true),
    }
}

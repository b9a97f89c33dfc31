//! Calls services from a pod, as a user would with curl, and says what came back as JSON.

use std::{
    io::Write,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use clap::{Parser, Subcommand};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

/// One call takes no longer.
const CALL: Duration = Duration::from_secs(10);
/// A longer answer is an error.
const ANSWER_BYTES: usize = 1 << 20;
/// Calls under way at once.
const IN_FLIGHT: usize = 64;

#[derive(Parser)]
#[command(version, about = "Calls services from a pod")]
struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Be a pod's main process until SIGTERM
    Stay,
    /// One request; prints status, headers and body
    Get {
        /// Such as http://reviews:9080/reviews/1
        url: String,
        /// `name: value`; may be given more than once
        #[arg(short = 'H', long = "header")]
        headers: Vec<String>,
        /// Ends with a failure unless the status is 200
        #[arg(long)]
        fail: bool,
    },
    /// Requests at a steady rate, whatever comes back; a line of JSON for each
    Load {
        /// As for `get`
        url: String,
        /// `name: value`; may be given more than once
        #[arg(short = 'H', long = "header")]
        headers: Vec<String>,
        /// Requests in a second
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rate: u32,
        /// For how long
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
    /// A line each second over one connection; prints how many came back
    Talk {
        /// host:port
        address: String,
        /// For how long
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
    /// Opens a connection and prints what the server says first, then what it answers to a line
    Tcp {
        /// host:port
        address: String,
    },
}

type Http = Client<HttpConnector, Empty<Bytes>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        Verb::Stay => stay().await,
        Verb::Get { url, headers, fail } => {
            let answer = get(&client(), &url, &headers).await;
            say(&answer);
            Ok(!fail || answer["status"] == 200)
        }
        Verb::Load {
            url,
            headers,
            rate,
            seconds,
        } => load(url, headers, rate, seconds).await,
        Verb::Talk { address, seconds } => {
            let mut lines = 0;
            let ended = talk(&address, seconds, &mut lines).await;
            let error = ended.err().map(|error| error.to_string());
            say(&json!({"lines": lines, "error": error}));
            Ok(true)
        }
        Verb::Tcp { address } => {
            let answer = match tokio::time::timeout(CALL, tcp(&address)).await {
                Ok(Ok((greeting, echo))) => json!({"greeting": greeting, "echo": echo}),
                Ok(Err(error)) => json!({"error": error.to_string()}),
                Err(_) => json!({"error": "no answer in time"}),
            };
            say(&answer);
            Ok(true)
        }
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

fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

fn say(value: &Value) {
    // A reader that went away wants nothing more.
    let _ = writeln!(std::io::stdout(), "{value}");
}

async fn stay() -> std::io::Result<bool> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    Ok(true)
}

async fn get(client: &Http, url: &str, headers: &[String]) -> Value {
    match tokio::time::timeout(CALL, try_get(client, url, headers)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => json!({"error": error}),
        Err(_) => json!({"error": "no answer in time"}),
    }
}

async fn try_get(client: &Http, url: &str, headers: &[String]) -> Result<Value, String> {
    let mut request = http::Request::get(url);
    for header in headers {
        let (name, value) = header.split_once(':').ok_or("a header is `name: value`")?;
        request = request.header(name.trim(), value.trim());
    }
    let request = request.body(Empty::new()).map_err(|e| e.to_string())?;
    let response = client.request(request).await.map_err(|error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    })?;
    let status = response.status().as_u16();
    let headers: serde_json::Map<String, Value> = response
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), Value::String(value))
        })
        .collect();
    let body = Limited::new(response.into_body(), ANSWER_BYTES)
        .collect()
        .await
        .map_err(|error| format!("the body: {error}"))?
        .to_bytes();
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    Ok(json!({"status": status, "headers": headers, "body": body}))
}

/// An open loop: a slow answer delays no later request, up to the bound on calls under way.
async fn load(url: String, headers: Vec<String>, rate: u32, seconds: u32) -> std::io::Result<bool> {
    let client = client();
    let call = Arc::new((url, headers));
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let end = Instant::now() + Duration::from_secs(seconds.into());
    while Instant::now() < end {
        ticks.tick().await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (client, call) = (client.clone(), Arc::clone(&call));
        calls.spawn(async move {
            let _place = place;
            let sent = SystemTime::now();
            let started = Instant::now();
            let answer = get(&client, &call.0, &call.1).await;
            let at = sent
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis());
            say(&json!({
                "at": u64::try_from(at).unwrap_or(u64::MAX),
                "ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "status": answer["status"],
                "flag": answer["headers"]["x-weft-flag"],
                "version": answer["body"]["version"],
                "instance": answer["body"]["instance"],
                "error": answer["error"],
            }));
        });
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    Ok(true)
}

async fn tcp(address: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let greeting = line(&mut stream).await?;
    stream.write_all(b"sold 1\r\n").await?;
    let echo = line(&mut stream).await?;
    Ok((greeting, echo))
}

async fn talk(address: &str, seconds: u32, lines: &mut u32) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    line(&mut stream).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for number in 0..seconds {
        ticks.tick().await;
        stream.write_all(format!("{number}\r\n").as_bytes()).await?;
        let echo = tokio::time::timeout(CALL, line(&mut stream)).await??;
        if echo != number.to_string() {
            return Err(std::io::Error::other(format!("{echo} instead of {number}")));
        }
        *lines += 1;
    }
    Ok(())
}

async fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") {
        if bytes.len() > 4096 {
            return Err(std::io::Error::other("a line of more than 4 KiB"));
        }
        bytes.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

//! Connections that stay: a message every few milliseconds, counted.

use std::{
    io,
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{millis, now, say, unary::ratings};

/// From one message to the next.
const EVERY: Duration = Duration::from_millis(50);
/// Messages that one gRPC stream brings; another follows.
const STREAM: u32 = 1000;
/// Nothing for this long, and the connection is lost.
const SILENCE: Duration = Duration::from_secs(5);
/// Before a connection is opened again that could not be opened.
const PAUSE: Duration = Duration::from_millis(100);

/// What came over one connection.
#[derive(Default)]
struct Heard {
    messages: u32,
    /// Missing in the sequence, or sent and not answered.
    lost: u32,
    /// The longest wait for a message.
    longest: Duration,
    instance: Option<String>,
}

impl Heard {
    fn message(&mut self, since: Instant) {
        self.messages += 1;
        self.longest = self.longest.max(since.elapsed());
    }
}

/// Holds connections until the time is over. `false`: the URL is none.
pub(super) async fn run(url: &str, connections: u32, seconds: u32) -> io::Result<bool> {
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let mut held = JoinSet::new();
    for connection in 0..connections {
        held.spawn(hold(url.to_owned(), connection, end));
    }
    while held.join_next().await.is_some() {}
    Ok(true)
}

async fn hold(url: String, connection: u32, end: Instant) {
    while Instant::now() < end {
        let (at, started) = (now(), Instant::now());
        let mut heard = Heard::default();
        let ended = match url.strip_prefix("grpc://") {
            Some(authority) => watch(authority, end, &mut heard).await,
            None => echo(&url, end, &mut heard).await,
        };
        let (by_caller, why) = match ended {
            Ok(()) => (true, Value::Null),
            Err(why) => (false, json!(why)),
        };
        say(&json!({
            "connection": connection,
            "at": at,
            "ms": millis(started.elapsed()),
            "messages": heard.messages,
            "lost": heard.lost,
            "longest": millis(heard.longest),
            "instance": heard.instance,
            "by_caller": by_caller,
            "error": why,
        }));
        if heard.messages == 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Reads a stream; `Ok` where this side ended it, or it was whole.
async fn watch(authority: &str, end: Instant, heard: &mut Heard) -> Result<(), String> {
    let mut client = ratings(authority).map_err(|error| error.to_string())?;
    let opened = timeout(SILENCE, client.watch_every("1", STREAM, EVERY)).await;
    let mut stream = opened
        .map_err(|_| "not open in time".to_owned())?
        .map_err(|status| format!("not open: {:?} {}", status.code(), status.message()))?;
    while heard.messages < STREAM {
        let asked = Instant::now();
        let next = timeout(SILENCE, stream.next()).await;
        let rating = match next.map_err(|_| "silence".to_owned())? {
            Some(Ok(rating)) => rating,
            Some(Err(status)) => return Err(format!("{:?} {}", status.code(), status.message())),
            None => return Err("it ended early".to_owned()),
        };
        let expected = heard.messages + heard.lost;
        heard.lost += rating.sequence.saturating_sub(expected);
        heard.message(asked);
        heard.instance = Some(rating.instance);
        if Instant::now() >= end {
            return Ok(());
        }
    }
    Ok(())
}

/// Has messages echoed; `Ok` where this side ended it.
async fn echo(url: &str, end: Instant, heard: &mut Heard) -> Result<(), String> {
    let (_, rest) = url.split_once("://").ok_or("no URL")?;
    let authority = rest.split('/').next().unwrap_or(rest);
    let opened = timeout(SILENCE, async {
        let stream = TcpStream::connect(authority).await.map_err(text)?;
        tokio_tungstenite::client_async(url, stream)
            .await
            .map_err(text)
    });
    let opened = opened.await.map_err(|_| "not open in time".to_owned())?;
    let (mut socket, _) = opened.map_err(|error| format!("not open: {error}"))?;
    let mut ticks = tokio::time::interval(EVERY);
    let mut sent = "hello".to_owned();
    loop {
        // The first message is the server's own, and says who it is.
        let asked = Instant::now();
        let next = timeout(SILENCE, socket.next()).await;
        heard.lost += 1;
        let got = match next.map_err(|_| "silence".to_owned())? {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(other)) => return Err(format!("it sent {other:?}")),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("it ended".to_owned()),
        };
        if heard.instance.is_none() {
            let hello: Value = serde_json::from_str(&got).unwrap_or_default();
            heard.instance = Some(hello["instance"].as_str().unwrap_or("?").to_owned());
        } else if got.as_str() != sent {
            return Err(format!("{got:?} came back for {sent:?}"));
        }
        heard.lost -= 1;
        heard.message(asked);
        if Instant::now() >= end {
            let _ = timeout(SILENCE, socket.close(None)).await;
            return Ok(());
        }
        ticks.tick().await;
        sent = heard.messages.to_string();
        let message = Message::text(sent.clone());
        socket
            .send(message)
            .await
            .map_err(|error| error.to_string())?;
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

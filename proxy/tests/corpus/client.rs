//! The client of a case: what it writes goes out as it stands.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_engine::journey::HttpCall;

use super::app::SEEN;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The response's status; `None`: the connection was closed without one.
    pub(crate) status: Option<u16>,
    /// The response's headers; values of one name are joined with commas.
    pub(crate) headers: BTreeMap<String, String>,
    /// What the application tells of the request; `None`: it was not reached.
    pub(crate) app: Option<AppSaw>,
    /// For people.
    pub(crate) raw: String,
}

/// What the application saw.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AppSaw {
    /// The pod.
    pub(crate) pod: String,
    /// The request target; empty on TCP.
    #[serde(default)]
    pub(crate) target: String,
    /// The request's headers, in order.
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn http(address: SocketAddr, call: &HttpCall, authority: &str) -> Seen {
    let method = if call.method.is_empty() {
        "GET"
    } else {
        &call.method
    };
    let path = if call.path.is_empty() {
        "/"
    } else {
        &call.path
    };
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
    for (name, value) in &call.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    let raw = exchange(address, request.as_bytes(), false).await;
    parse(&raw).unwrap_or_else(|| Seen {
        raw: String::from_utf8_lossy(&raw).into_owned(),
        ..Seen::default()
    })
}

/// Opens a connection, says something, and reads the first line.
pub(crate) async fn tcp(address: SocketAddr) -> Seen {
    let raw = String::from_utf8_lossy(&exchange(address, b"ping\n", true).await).into_owned();
    Seen {
        app: raw.strip_prefix("pod ").map(|pod| AppSaw {
            pod: pod.trim_end().to_owned(),
            ..AppSaw::default()
        }),
        raw,
        ..Seen::default()
    }
}

async fn exchange(address: SocketAddr, request: &[u8], one_line: bool) -> Vec<u8> {
    let mut answer = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).await?;
            answer.extend_from_slice(&chunk[..read]);
            if read == 0 || (one_line && answer.contains(&b'\n')) {
                return Ok::<_, std::io::Error>(());
            }
        }
    };
    if timeout(PATIENCE, talk).await.is_err() {
        answer.extend_from_slice(b" (and then nothing)");
    }
    answer
}

fn parse(raw: &[u8]) -> Option<Seen> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(_) = response.parse(raw).ok()? else {
        return None;
    };
    let mut seen = Seen {
        status: response.code,
        raw: String::from_utf8_lossy(raw).into_owned(),
        ..Seen::default()
    };
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        seen.headers
            .entry(header.name.to_ascii_lowercase())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    seen.app = seen
        .headers
        .get(SEEN)
        .and_then(|told| serde_json::from_str(told).ok());
    Some(seen)
}

//! The application in a pod: tells what it saw.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use weft_engine::documents::Protocol;

/// The header in which it tells.
pub(crate) const SEEN: &str = "x-seen";

/// Heads beyond this are not read.
const MOST: usize = 64 * 1024;

/// An application that listens; stopped on drop.
pub(crate) struct App(JoinHandle<()>);

impl Drop for App {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl App {
    /// Listens for a pod on one of its ports.
    pub(crate) async fn start(pod: &str, listen: SocketAddr, protocol: Protocol) -> Self {
        let listener = TcpListener::bind(listen)
            .await
            .expect("a loopback address can be bound");
        let pod = pod.to_owned();
        Self(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let pod = pod.clone();
                tokio::spawn(async move {
                    // A peer that goes away in the middle is the peer's affair.
                    let _ = converse(stream, &pod, protocol).await;
                });
            }
        }))
    }
}

async fn converse(mut stream: TcpStream, pod: &str, protocol: Protocol) -> std::io::Result<()> {
    let greeting = format!("pod {pod}\n");
    if protocol == Protocol::Tcp {
        // The server speaks first, as databases do.
        stream.write_all(greeting.as_bytes()).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        return Ok(());
    }
    let mut bytes = Vec::new();
    loop {
        while !ends_head(&bytes) {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).await?;
            if read == 0 || bytes.len() > MOST {
                return Ok(());
            }
            bytes.extend_from_slice(&chunk[..read]);
            if bytes.starts_with(b"ping") {
                return stream.write_all(greeting.as_bytes()).await;
            }
        }
        let (answer, used) = answer(pod, &bytes);
        bytes.drain(..used);
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|end| end == b"\r\n\r\n")
}

fn answer(pod: &str, bytes: &[u8]) -> (String, usize) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(used)) = request.parse(bytes) else {
        return (
            "HTTP/1.1 500 unreadable\r\ncontent-length: 0\r\n\r\n".to_owned(),
            bytes.len(),
        );
    };
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_ascii_lowercase(),
                String::from_utf8_lossy(header.value),
            )
        })
        .collect();
    let seen = json!({"pod": pod, "target": request.path, "headers": headers});
    let answer =
        format!("HTTP/1.1 200 OK\r\n{SEEN}: {seen}\r\nx-internal: 1\r\ncontent-length: 0\r\n\r\n");
    (answer, used)
}

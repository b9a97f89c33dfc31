//! The driver's own clients: HTTP, gRPC, WebSocket and TCP, each bounded in time.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{
    HeaderMap, Method, Request, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use tonic::transport::Endpoint;

use super::DemoError;
use crate::bookstore::{
    FaultReport, FaultSettings,
    answer::{Answer, CLIENT_CERT},
    ratings::{Rating, RatingsClient},
    through,
};

/// One call takes no longer.
pub(super) const CALL: Duration = Duration::from_secs(5);

const ANSWER_BYTES: usize = 1 << 20;

/// Clients that keep their connections.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    http: Client<HttpConnector, Full<Bytes>>,
}

/// A whole HTTP response.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// The bookstore's answer, if this is one.
    pub(super) fn answer(&self) -> Result<Answer, DemoError> {
        serde_json::from_slice(&self.body).map_err(|_| {
            DemoError::Claim(format!(
                "status {} with {:?} is not an answer of the bookstore",
                self.status.as_u16(),
                self.text()
            ))
        })
    }

    /// A header's value; empty if absent.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The beginning of the body.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.trim().chars().take(200).collect()
    }
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// `GET http://<host><path>`, sent to `address`.
    pub(super) async fn get(
        &self,
        address: SocketAddr,
        host: &str,
        path: &str,
    ) -> Result<Reply, DemoError> {
        self.call(Method::GET, address, host, path, Bytes::new())
            .await
    }

    /// A `GET` that brings its own word about who calls.
    pub(super) async fn forged(
        &self,
        address: SocketAddr,
        host: &str,
        path: &str,
    ) -> Result<Reply, DemoError> {
        let request = Request::builder()
            .uri(format!("http://{address}{path}"))
            .header(HOST, host)
            .header(
                CLIENT_CERT,
                "By=spiffe://x;URI=spiffe://cluster.local/ns/x/sa/root",
            );
        self.send(request.body(Full::default()), host, path).await
    }

    /// Any request.
    pub(super) async fn call(
        &self,
        method: Method,
        address: SocketAddr,
        host: &str,
        path: &str,
        body: Bytes,
    ) -> Result<Reply, DemoError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header(HOST, host);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        self.send(request.body(Full::new(body)), host, path).await
    }

    async fn send(
        &self,
        request: http::Result<Request<Full<Bytes>>>,
        host: &str,
        path: &str,
    ) -> Result<Reply, DemoError> {
        let failed = |reason: String| DemoError::Call {
            target: format!("{host}{path}"),
            reason,
        };
        let request = request.map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                failed(cause.unwrap_or_else(|| error.to_string()))
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES)
                .collect()
                .await
                .map_err(|error| failed(format!("the body broke off: {error}")))?;
            Ok(Reply {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        match tokio::time::timeout(CALL, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(failed("no answer within 5 s".to_owned())),
        }
    }

    /// Whether `GET path` gives 200.
    pub(super) async fn is_ok(&self, address: SocketAddr, path: &str) -> bool {
        let reply = self.get(address, &address.to_string(), path).await;
        reply.is_ok_and(|reply| reply.status == StatusCode::OK)
    }

    /// How a service fails on purpose, and how often it was called.
    pub(super) async fn faults(&self, health: SocketAddr) -> Result<FaultReport, DemoError> {
        let reply = self.get(health, &health.to_string(), "/faults").await?;
        report(health, &reply)
    }

    /// Makes a service fail on purpose.
    pub(super) async fn set_faults(
        &self,
        health: SocketAddr,
        settings: &FaultSettings,
    ) -> Result<FaultReport, DemoError> {
        let body = serde_json::to_vec(settings).unwrap_or_default();
        let host = health.to_string();
        let reply = self
            .call(Method::PUT, health, &host, "/faults", body.into())
            .await?;
        report(health, &reply)
    }

    /// The sum of a metric's samples whose labels contain `label`.
    pub(super) async fn metric(
        &self,
        metrics: SocketAddr,
        name: &str,
        label: &str,
    ) -> Result<f64, DemoError> {
        let reply = self.get(metrics, &metrics.to_string(), "/metrics").await?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            // Only this metric, not one whose name merely begins with it.
            let own = labels.is_empty() || labels.starts_with('{');
            (own && labels.contains(label))
                .then(|| value.parse::<f64>().ok())
                .flatten()
        });
        Ok(samples.sum())
    }
}

fn report(health: SocketAddr, reply: &Reply) -> Result<FaultReport, DemoError> {
    serde_json::from_slice(&reply.body).map_err(|error| DemoError::Call {
        target: format!("{health}/faults"),
        reason: error.to_string(),
    })
}

/// One unary call, then a stream of `count` messages.
pub(super) async fn ratings(
    outbound: SocketAddr,
    target: &str,
    count: u32,
) -> Result<(Rating, Vec<Rating>), DemoError> {
    let failed = |reason: String| DemoError::Call {
        target: format!("gRPC {target} through {outbound}"),
        reason,
    };
    let endpoint = Endpoint::from_shared(format!("http://{target}"))
        .map_err(|error| failed(error.to_string()))?
        .connect_timeout(CALL);
    let mut client = RatingsClient::new(through(&endpoint, outbound));
    let calls = async {
        let one = client.get("1").await.map_err(|e| failed(e.to_string()))?;
        let stream = client.watch("2", count).await;
        let mut stream = stream.map_err(|e| failed(e.to_string()))?;
        let mut many = Vec::new();
        while let Some(rating) = stream.next().await {
            many.push(rating.map_err(|e| failed(e.to_string()))?);
        }
        Ok((one, many))
    };
    match tokio::time::timeout(CALL, calls).await {
        Ok(ratings) => ratings,
        Err(_) => Err(failed("no end within 5 s".to_owned())),
    }
}

/// Opens a WebSocket, reads the server's first message, and has `message` echoed.
pub(super) async fn web_socket(
    outbound: SocketAddr,
    target: &str,
    message: &str,
) -> Result<(Answer, String), DemoError> {
    let failed = |reason: String| DemoError::Call {
        target: format!("ws://{target} through {outbound}"),
        reason,
    };
    let talk = async {
        let request = format!("ws://{target}")
            .into_client_request()
            .map_err(|error| failed(error.to_string()))?;
        let stream = TcpStream::connect(outbound)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let mut texts = Vec::new();
        while texts.len() < 2 {
            if texts.len() == 1 {
                let sent = socket.send(Message::text(message)).await;
                sent.map_err(|error| failed(error.to_string()))?;
            }
            match socket.next().await {
                Some(Ok(Message::Text(text))) => texts.push(text.to_string()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(failed(error.to_string())),
                None => return Err(failed("the server closed".to_owned())),
            }
        }
        // The answer counts, not whether the server says goodbye.
        let _ = socket.close(None).await;
        let echo = texts.pop().unwrap_or_default();
        let hello = texts.pop().unwrap_or_default();
        let hello = serde_json::from_str(&hello).map_err(|error| failed(error.to_string()))?;
        Ok((hello, echo))
    };
    match tokio::time::timeout(CALL, talk).await {
        Ok(result) => result,
        Err(_) => Err(failed("no echo within 5 s".to_owned())),
    }
}

/// Reads a greeting before sending anything, then has `bytes` echoed.
pub(super) async fn tcp_echo(
    address: SocketAddr,
    bytes: &[u8],
) -> Result<(String, Vec<u8>), DemoError> {
    let talk = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let mut greeting = String::new();
        stream.read_line(&mut greeting).await?;
        let mut echo = vec![0; bytes.len()];
        // Both directions at once: more than a socket buffers must not dead-lock.
        let (mut read, mut write) = tokio::io::split(stream);
        let (sent, received) = tokio::join!(write.write_all(bytes), read.read_exact(&mut echo));
        sent?;
        received?;
        std::io::Result::Ok((greeting.trim_end().to_owned(), echo))
    };
    let failed = |reason: String| DemoError::Call {
        target: format!("TCP through {address}"),
        reason,
    };
    match tokio::time::timeout(CALL, talk).await {
        Ok(result) => result.map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed("no greeting or echo within 5 s".to_owned())),
    }
}

/// Sends plain HTTP and reads until the peer closes, or 3 s have passed.
pub(super) async fn plaintext(address: SocketAddr, host: &str, path: &str) -> Vec<u8> {
    let mut received = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut limited = (&mut stream).take(64 * 1024);
        limited.read_to_end(&mut received).await
    };
    // A reset, a close and silence are all refusals; what was received is what counts.
    let _ = tokio::time::timeout(Duration::from_secs(3), talk).await;
    received
}

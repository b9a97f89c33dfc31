//! Calling the other services, through the proxy or by name.

use std::{net::SocketAddr, time::Duration};

use axum::http::{Method, Request, StatusCode, header::HOST};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint};

use super::ratings::RatingsClient;

/// One call takes no longer.
const CALL: Duration = Duration::from_secs(5);

/// A longer answer is an error.
const ANSWER_BYTES: usize = 1 << 20;

/// The clients of one instance.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    http: Client<HttpConnector, Empty<Bytes>>,
    via: Option<SocketAddr>,
}

impl Upstream {
    pub(super) fn new(via: Option<SocketAddr>) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            via,
        }
    }

    /// The status and JSON answer of `GET http://<target><path>`; an error is a value too: the
    /// page shows it.
    pub(super) async fn get(&self, target: &str, path: &str) -> Value {
        match tokio::time::timeout(CALL, self.try_get(target, path)).await {
            Ok(Ok((status, answer))) => json!({"status": status.as_u16(), "answer": answer}),
            Ok(Err(error)) => json!({"error": error}),
            Err(_) => json!({"error": "no answer within 5 s"}),
        }
    }

    async fn try_get(&self, target: &str, path: &str) -> Result<(StatusCode, Value), String> {
        let connect_to = self.via.map_or(target.to_owned(), |via| via.to_string());
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("http://{connect_to}{path}"))
            .header(HOST, target)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES);
        let bytes = body
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let answer = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok((status, answer))
    }

    /// A gRPC client that connects at its first call and again whenever needed.
    pub(super) fn ratings(&self, target: &str) -> Result<RatingsClient, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{target}"))?
            .connect_timeout(CALL)
            .timeout(CALL);
        Ok(RatingsClient::new(match self.via {
            Some(via) => through(&endpoint, via),
            None => endpoint.connect_lazy(),
        }))
    }
}

/// A channel whose connections go to `via` whatever its authority says.
pub(crate) fn through(endpoint: &Endpoint, via: SocketAddr) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_| async move {
        TcpStream::connect(via).await.map(TokioIo::new)
    }))
}

/// Opens a ledger connection, reads its greeting and has one line echoed.
pub(super) async fn ledger(target: &str) -> Value {
    let talk = async {
        let mut stream = BufReader::new(TcpStream::connect(target).await?);
        let mut greeting = String::new();
        stream.read_line(&mut greeting).await?;
        stream.write_all(b"sold 1\r\n").await?;
        let mut receipt = String::new();
        stream.read_line(&mut receipt).await?;
        std::io::Result::Ok((greeting, receipt))
    };
    match tokio::time::timeout(CALL, talk).await {
        Ok(Ok((greeting, receipt))) => {
            json!({"greeting": greeting.trim_end(), "receipt": receipt.trim_end()})
        }
        Ok(Err(error)) => json!({"error": error.to_string()}),
        Err(_) => json!({"error": "no answer within 5 s"}),
    }
}

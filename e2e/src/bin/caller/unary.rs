//! One call, over HTTP or gRPC.

use std::io;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Map, Value, json};
use tonic::transport::Endpoint;
use weft_e2e::{bookstore::ratings::RatingsClient, secure};

use super::{CALL, say};

/// A longer answer is an error.
const ANSWER_BYTES: usize = 1 << 20;

/// What is called, and how.
#[derive(Args)]
pub(super) struct Call {
    /// Such as http://reviews:9080/reviews/1, or grpc://ratings:9090 for one rating
    url: String,
    /// `name: value`; may be given more than once
    #[arg(short = 'H', long = "header")]
    headers: Vec<String>,
    /// The certificate to trust, as PEM; for an https URL
    #[arg(long)]
    root: Option<String>,
    /// HTTP's; all but GET send a body
    #[arg(short = 'X', long, default_value = "GET")]
    method: http::Method,
}

#[derive(Clone)]
pub(super) enum Caller {
    Http(Client<HttpConnector, Full<Bytes>>),
    Grpc(RatingsClient),
}

/// A lazy channel to what `grpc://…` names.
pub(super) fn ratings(authority: &str) -> io::Result<RatingsClient> {
    let endpoint =
        Endpoint::from_shared(format!("http://{authority}")).map_err(io::Error::other)?;
    Ok(RatingsClient::new(endpoint.connect_lazy()))
}

impl Call {
    /// `GET url`.
    pub(super) fn get(url: String) -> Self {
        Self {
            url,
            headers: Vec::new(),
            root: None,
            method: http::Method::GET,
        }
    }

    pub(super) fn caller(&self) -> io::Result<Caller> {
        Ok(match self.url.strip_prefix("grpc://") {
            Some(authority) => Caller::Grpc(ratings(authority)?),
            None => Caller::Http(Client::builder(TokioExecutor::new()).build_http()),
        })
    }
}

/// One call, printed.
pub(super) async fn once(call: Call, fail: bool) -> io::Result<bool> {
    let answer = call.caller()?.call(&call).await;
    say(&answer);
    Ok(!fail || answer["status"] == 200)
}

impl Caller {
    pub(super) async fn call(&mut self, call: &Call) -> Value {
        let answer = async {
            match self {
                Self::Http(client) => http(client, call).await,
                Self::Grpc(client) => Ok(grpc(client).await),
            }
        };
        match tokio::time::timeout(CALL, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => json!({"error": error}),
            Err(_) => json!({"error": "no answer in time"}),
        }
    }
}

/// OK is told as 200.
async fn grpc(client: &mut RatingsClient) -> Value {
    match client.get("1").await {
        Ok(rating) => json!({
            "status": 200,
            "body": {"instance": rating.instance, "clientCert": rating.client_cert},
        }),
        Err(status) => {
            let headers = status.metadata().clone().into_headers();
            let error = format!("gRPC {:?}: {}", status.code(), status.message());
            json!({"headers": told(&headers), "error": error})
        }
    }
}

async fn http(client: &Client<HttpConnector, Full<Bytes>>, call: &Call) -> Result<Value, String> {
    let mut request = http::Request::builder()
        .method(call.method.clone())
        .uri(&call.url);
    for header in &call.headers {
        let (name, value) = header.split_once(':').ok_or("a header is `name: value`")?;
        request = request.header(name.trim(), value.trim());
    }
    let body = match call.method {
        http::Method::GET => Bytes::new(),
        _ => Bytes::from_static(b"{}"),
    };
    let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
    let response = match &call.root {
        Some(root) => secure::send(request, root).await,
        None => client.request(request).await.map_err(Into::into),
    };
    let response = response.map_err(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    })?;
    let status = response.status().as_u16();
    let headers = told(response.headers());
    let body = Limited::new(response.into_body(), ANSWER_BYTES)
        .collect()
        .await
        .map_err(|error| format!("the body: {error}"))?
        .to_bytes();
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    Ok(json!({"status": status, "headers": headers, "body": body}))
}

fn told(headers: &http::HeaderMap) -> Map<String, Value> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), Value::String(value))
        })
        .collect()
}

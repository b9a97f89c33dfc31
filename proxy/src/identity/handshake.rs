//! Accepting mesh TLS.

use std::{io, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{IdentityStore, MeshAlpn, PeerError, peer_identity};
use crate::connection::MeshTls;

/// Why mesh TLS did not come to stand.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// We have no identity to show.
    #[error("this proxy has no identity yet; look at the identity directory")]
    NoIdentity,
    /// TLS failed: mostly a certificate that is not trusted.
    #[error("TLS: {0}")]
    Tls(#[from] io::Error),
    /// The certificate is trusted and yet no workload's.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// No mesh protocol was agreed on.
    #[error("no mesh protocol was negotiated")]
    Alpn,
}

impl HandshakeError {
    /// The value of the `result` label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoIdentity => "no_identity",
            Self::Tls(_) => "tls",
            Self::Peer(_) => "peer",
            Self::Alpn => "alpn",
        }
    }
}

/// Accepts mesh TLS: the peer proved to be a workload of the trust domain. No time-out of its
/// own.
pub async fn accept_mesh<S>(
    store: &IdentityStore,
    stream: S,
) -> Result<(TlsStream<S>, MeshTls), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let identity = store.active().ok_or(HandshakeError::NoIdentity)?;
    let acceptor = TlsAcceptor::from(identity.server_config());
    let stream = Box::pin(acceptor.accept(stream)).await?;
    let session = stream.get_ref().1;
    let peer = peer_identity(session.peer_certificates())?;
    let alpn = session
        .alpn_protocol()
        .and_then(MeshAlpn::from_bytes)
        .ok_or(HandshakeError::Alpn)?;
    let tls = MeshTls {
        peer: Arc::new(peer),
        own: identity.id.clone(),
        alpn,
    };
    Ok((stream, tls))
}

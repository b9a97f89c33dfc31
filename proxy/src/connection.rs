//! What is known of an accepted connection when a protocol takes over.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use weft_engine::{documents::ServiceRef, identity::SpiffeId};

use crate::config::PodView;

mod gathered;
mod scratch;
mod stream;

pub(crate) use gathered::Gathered;
pub(crate) use scratch::{give_back, lend, with_scratch};
pub use stream::{Prefixed, Stream};

/// The flag of what is refused because it came in plaintext.
pub const MTLS_REQUIRED: &str = "mtls_required";

/// Which of the proxy's three doors a connection came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the local application to the mesh.
    Outbound,
    /// From the mesh to the local application.
    Inbound,
    /// From outside to a gateway.
    Gateway,
}

impl Direction {
    /// The value of the `direction` label and log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Gateway => "gateway",
        }
    }
}

/// Where an accepted connection is meant to go, as far as the listener knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Outbound: this service and port (the listener is bound to it, or the redirected
    /// connection was made to its ClusterIP).
    Service(ServiceRef),
    /// Outbound: this pod, which the client dialled itself. Boxed: few do, and every connection
    /// has a target.
    Pod(Box<PodView>),
    /// Outbound: the `Host` of each request names the service.
    Host,
    /// Outbound: redirected, and the mesh knows neither a service nor a pod of its own with this
    /// address. Passed through.
    Passthrough(SocketAddr),
    /// Inbound: the local application.
    App {
        /// The pod's own port: what policies speak of.
        port: u16,
        /// Where the application listens.
        address: SocketAddr,
    },
    /// Gateway: the listener's name.
    Listener(Arc<str>),
}

/// What a TLS handshake between two proxies proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshTls {
    /// The peer's identity.
    pub peer: Arc<SpiffeId>,
    /// Our own identity in that handshake (`By=` of x-forwarded-client-cert).
    pub own: Arc<SpiffeId>,
    /// What the peer means to speak.
    pub alpn: crate::identity::MeshAlpn,
}

/// An accepted connection.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The door.
    pub direction: Direction,
    /// The directly connected peer.
    pub peer: SocketAddr,
    /// Our own end.
    pub local: SocketAddr,
    /// What the peer dialled, where the connection was redirected to us.
    pub original_destination: Option<SocketAddr>,
    /// Where it goes.
    pub target: Target,
    /// `None` in plaintext.
    pub tls: Option<MeshTls>,
    /// Whether a client outside the mesh came by TLS that ends at this gateway.
    pub secure: bool,
    /// What refuses every request on this connection, where something does: plaintext HTTP on a
    /// Strict port is answered with 403 and the name of the policy instead of a bare close.
    pub refuse: Option<Arc<str>>,
    /// When it was accepted.
    pub accepted: Instant,
}

impl ConnectionInfo {
    /// The peer's proven identity; `None` in plaintext.
    pub fn peer_identity(&self) -> Option<&Arc<SpiffeId>> {
        self.tls.as_ref().map(|tls| &tls.peer)
    }
}

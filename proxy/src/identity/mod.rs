//! Who this workload is, and who a peer must prove to be.

mod alpn;
mod handshake;
mod load;
mod peer;
mod reload;
mod serving;
mod store;
mod verify;

pub use alpn::MeshAlpn;
pub use handshake::{HandshakeError, accept_mesh};
pub use load::IdentityError;
pub use peer::{PeerError, peer_identity};
pub use reload::Reloader;
pub use serving::{CertificateError, ServingCertificates};
pub use store::{Identity, IdentityStore};

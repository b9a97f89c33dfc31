//! Who this workload is, and who a peer must prove to be.

mod alpn;
mod handshake;
mod load;
mod peer;
mod reload;
mod store;
mod verify;

pub use alpn::MeshAlpn;
pub use handshake::{HandshakeError, accept_mesh};
pub use load::IdentityError;
pub use peer::{PeerError, peer_identity};
pub use reload::Reloader;
pub use store::{Identity, IdentityStore};

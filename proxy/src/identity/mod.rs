//! Who this workload is, and who a peer must prove to be.

mod alpn;
mod load;
mod peer;
mod reload;
mod store;
mod verify;

pub use alpn::MeshAlpn;
pub use load::IdentityError;
pub use peer::{PeerError, peer_identity};
pub use reload::Reloader;
pub use store::{Identity, IdentityStore};

//! Accepts connections, finds out what they are, and hands them on. In flow order:

/// One listener's accept loop.
mod accept;
/// What the first bytes say.
mod detect;
/// The three doors.
mod door;
/// Sockets: SO_REUSEPORT, options, original destination.
mod socket;

/// From outside to a gateway.
mod gateway;
/// From the mesh to the local application.
mod inbound;
/// From the local application to the mesh.
mod outbound;

pub use accept::serve;
pub use door::{Door, doors};
pub use socket::{ListenError, bind, bind_exclusive};

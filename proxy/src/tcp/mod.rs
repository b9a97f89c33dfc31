//! TCP: one decision per connection, then bytes both ways. In flow order:

/// Bytes both ways, with half-close.
mod copy;
/// What a connection leaves in metrics and log.
mod session;

/// Whether the callee's application took the connection.
mod answer;
/// To the local application.
mod inbound;
/// To an endpoint of a service, or past the mesh.
mod outbound;

pub use answer::Answer;
pub use copy::{Copied, CopyError, copy_both};
pub(crate) use inbound::inbound;
pub(crate) use outbound::{outbound, passthrough};

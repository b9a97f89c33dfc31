//! Connections to endpoints: kept, shared, bounded.
//!
//! HTTP/1.1 connections carry one exchange at a time and wait for the next in a stack (the most
//! recently used first: the least likely to be closed by the peer). HTTP/2 connections are
//! shared up to the peer's own limit of streams; a further one is opened when all are full.

mod acquire;
mod bounds;
mod connections;
mod dial;
mod lease;

pub(crate) use acquire::{acquire, sweep};
pub use bounds::{Bounds, ConnectionPermit, RequestPermit};
pub use connections::Connections;
pub use dial::{DialError, Wire, dial};
pub use lease::{Cause, Held, SendError};

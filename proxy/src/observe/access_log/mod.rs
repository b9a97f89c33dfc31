//! The access log: one JSON line per request or TCP connection. A line is formatted where the
//! exchange ended, into a buffer of that thread; one thread writes what all of them gathered. A
//! full buffer drops lines and counts them: the log never slows the traffic.

/// What a line says.
mod record;

/// JSON, appended piece by piece.
mod json;

/// Times as text.
mod clock;

/// From the threads' buffers to the destination.
mod writer;

#[cfg(test)]
mod tests;

pub use record::{AccessRecord, Towards};
pub use writer::{AccessLog, Destination};

//! What is sent. In the order of what is asked: how much at most, how fast at a steady rate, and
//! exactly so many.

/// HTTP/1.1 as fast as it goes: wrk.
pub mod wrk;

/// HTTP/2 as fast as it goes: h2load.
pub mod h2load;

/// Calls of gRPC, and messages on its streams.
pub mod grpc;

/// Messages over WebSockets.
pub mod websocket;

/// Bytes as fast as they come.
pub mod bulk;

/// Messages that go there and come back.
pub mod messages;

/// At a steady rate, whatever comes back.
pub mod paced;

/// Exactly so many requests.
pub mod counted;

mod exchange;

/// What a saturating load counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Saturated {
    /// Complete responses, messages that came back, or MiB.
    pub requests: u64,
    /// Of them, or beside them, what was not as it should be.
    pub failed: u64,
    /// Responses per second.
    pub per_second: f64,
}

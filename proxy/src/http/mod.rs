//! HTTP/1.1, HTTP/2 and gRPC: decide, enforce, respond. In flow order:

/// A connection, from its first byte to its drain.
mod serve;

/// What the requests of one connection share.
mod context;

/// Header blocks of HTTP/2 that do not end.
mod framing;

/// One request, from its head to its last byte.
mod exchange;

/// What a request must be before the engine is asked.
mod validate;

/// Where it is meant to go.
mod target;

/// What the target turned out to be: whose rules, which cluster.
mod place;

/// Header fields that end at this hop, and those that we add.
mod headers;

/// What the next hop is sent.
mod head;

/// Every answer that the mesh itself gives.
mod respond;

/// What a rule answers itself.
mod local_reply;

/// Endpoint, connection, attempt, retry.
mod forward;

/// One attempt.
mod attempt;

/// When another attempt is made.
mod retry;

/// Bodies as they come, of either protocol.
mod incoming;

/// Request bodies, kept for a replay where one may come.
mod request_body;

/// An endpoint's response as the client gets it.
mod deliver;

/// Response bodies: time-outs, and the end of the exchange.
mod response_body;

/// WebSocket and whatever else leaves HTTP.
mod upgrade;

/// What is told of an exchange when it has ended.
mod observation;

/// The metric series of exchanges.
mod series;

/// What is told of a request that the parser refused.
mod unread;

/// gRPC's way of saying things.
mod grpc;

/// Tasks stay on their core.
mod executor;

pub(crate) use executor::GatheringExecutor;
pub(crate) use head::Head;
pub(crate) use incoming::ServerBody;
pub(crate) use request_body::RequestBody;
pub use serve::{Version, serve};

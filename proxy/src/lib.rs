//! Carries the traffic: accept, identify, decide, enforce, forward.
//!
//! Thread per core: a [`worker::Worker`] owns its listeners, pools and timers; what workers
//! share is read-mostly and swapped whole. A control thread feeds them: config documents,
//! certificates, metrics, the admin port. In flow order:
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

/// The command line.
pub mod bootstrap;

/// Redirecting the pod's connections to the proxy, before it starts.
pub mod capture;

/// From the command line to the last connection.
pub mod run;

/// Config documents in, views out, swapped whole.
pub mod config;

/// Who this workload is, and who a peer must prove to be.
pub mod identity;

/// What is active, told to the operator.
pub mod report;

/// Stopping without losing a request.
pub mod drain;

/// Metrics and the access log.
pub mod observe;

/// Memory that only the start needed.
mod resident;

/// What one core owns.
pub mod worker;

/// One timer for many deadlines.
mod timer;

/// What is known of an accepted connection, and its bytes.
pub mod connection;

/// Accepts connections, finds out what they are, and hands them on.
pub mod listen;

/// TCP: one decision per connection, then bytes both ways.
pub mod tcp;

/// HTTP/1.1 on the wire: heads and bodies, in and out.
mod h1;

/// HTTP/1.1, HTTP/2 and gRPC: decide, enforce, respond.
pub mod http;

/// Endpoint choice, pools, health, connections to the next hop.
pub mod upstream;

/// Metrics, readiness and the admin port.
pub mod admin;

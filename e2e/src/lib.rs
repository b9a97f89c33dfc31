//! A real Kubernetes API to test against, the bookstore services, and the stories told on them.

/// Five small services that speak HTTP, WebSocket, gRPC and TCP.
pub mod bookstore;

/// A mesh of processes on loopback, and the tour that checks what it promises.
pub mod demo;

/// The CRDs of the Gateway API.
pub mod gateway_api;

/// An application that answers every kind of probe.
pub mod probed;

/// One request over TLS.
pub mod secure;

pub mod binaries;
pub mod cluster;
pub mod control_plane;

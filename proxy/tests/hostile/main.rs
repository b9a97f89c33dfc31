//! Hostile input at every listener of real proxies: a refusal or a close in bounded time, never
//! a panic, a hang, growth without bound, or a way around an AuthPolicy.
#![allow(unreachable_pub)]

#[path = "../mesh/mod.rs"]
mod mesh;
#[path = "../web/mod.rs"]
mod web;

/// The same for HTTP/2, frame by frame.
mod frames;
/// The mesh under attack: every kind of listener.
mod site;
/// What is sent and what comes back, HTTP/1.1.
mod wire;

/// Body framing, and requests hidden in bodies.
mod bodies;
/// Bytes that are no HTTP, and TLS that is none.
mod bytes;
/// HTTP/2 floods and stalls.
mod floods;
/// Request lines and header fields.
mod heads;
/// Ways to be somebody else.
mod identity;
/// Ways around an AuthPolicy.
mod policy;
/// Slow peers, and memory.
mod pressure;
/// HTTP/2 streams.
mod streams;

//! What the mesh means.
//!
//! Pure: no I/O, no clock, no async. The webhook, the operator, the CLI and the proxy all stand
//! on this crate, so "what happens to this request?" has one answer. In flow order:

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

// The contract between operator and proxy.
pub mod documents;

// What a proxy says back: which of them it has active.
pub mod report;

// What is wrong with an input, for people and for machines.
pub mod problem;

// Who a workload is: SPIFFE IDs, namespaces, labels.
pub mod identity;

// The one form of a path that is matched, authorized and forwarded.
pub mod path;

// The one form of a host.
pub mod authority;

// What a decision is made from.
mod facts;

// Documents → immutable compiled form.
pub mod compile;

// The only door: route, then authorize.
pub mod decide;

// Watching a decision being made.
pub mod trace;

// A call to a pod that the client chose itself.
pub mod pod;

// A whole call, client side and server side, over a set of documents.
pub mod journey;

// Rules that can never win, that shadow others, or that are wider than they look.
pub mod lint;

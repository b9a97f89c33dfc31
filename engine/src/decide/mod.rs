//! The only door. [`decide_http`] and [`decide_tcp`] run route match, then authorization.

mod authorize;
mod backend;
mod http;
mod tcp;
mod verdict;

pub use self::{backend::pick_backend, http::decide_http, tcp::decide_tcp};
pub use crate::{
    compile::CompiledTcpRule,
    facts::{HttpFacts, Peer},
};
pub use verdict::{Denial, HttpDecision, Reason, RequestRejection, Scope, TcpDecision, Verdict};

#[cfg(test)]
mod tests;

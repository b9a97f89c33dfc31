//! What a decision is made from.

use std::net::IpAddr;

use crate::identity::{SpiffeId, Workload};

/// An HTTP request as far as a decision needs it.
#[derive(Clone, Copy, Debug)]
pub struct HttpFacts<'r> {
    /// The method, as sent.
    pub method: &'r str,
    /// Host header or `:authority`, port included if it was.
    pub authority: &'r str,
    /// The request target's path and query, as sent.
    pub path_and_query: &'r str,
    /// The headers.
    pub headers: &'r http::HeaderMap,
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'r> {
    /// Address of the directly connected peer.
    pub address: IpAddr,
    /// Its proven identity; `None` in plaintext.
    pub identity: Option<&'r SpiffeId>,
    /// The calling workload, where the proxy stands beside it (outbound): gives namespace,
    /// service account and labels to `source` matches.
    pub workload: Option<&'r Workload>,
}

/// A request whose target and host have been normalised: what conditions are compared with.
#[derive(Clone, Copy)]
pub(crate) struct NormalHttp<'r> {
    pub(crate) method: &'r str,
    pub(crate) host: &'r str,
    pub(crate) path: &'r str,
    pub(crate) query: Option<&'r str>,
    pub(crate) headers: &'r http::HeaderMap,
}

/// What authorization is decided on. `http` is `None` on TCP.
#[derive(Clone, Copy)]
pub(crate) struct Traffic<'r> {
    pub(crate) http: Option<&'r NormalHttp<'r>>,
    pub(crate) port: u16,
    pub(crate) peer: &'r Peer<'r>,
}

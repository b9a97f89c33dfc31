//! The only door. `decide_http` and `decide_tcp` run route match, then authorization.

use std::{borrow::Cow, net::IpAddr};

use crate::{
    compile::{CompiledHttpRule, CompiledInbound, CompiledListener, CompiledPort},
    documents::{AuthAction, Backend},
    identity::{SpiffeId, Workload},
    path::PathRejection,
    trace::Observer,
};

/// Where the request stands on its way.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'c> {
    /// Leaving its client: routed, not authorized (the server's side does that).
    Outbound(&'c CompiledPort),
    /// Arriving at its server on the pod's own port: authorized, not routed.
    Inbound(&'c CompiledInbound, u16),
    /// Entering at a gateway: routed and authorized.
    Gateway(&'c CompiledListener),
}

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

/// What to do with an HTTP request.
#[derive(Debug)]
pub struct HttpDecision<'c, 'r> {
    /// The outcome.
    pub verdict: Verdict<'c, CompiledHttpRule>,
    /// Normalised path and query: the form to forward. Empty when refused.
    pub path_and_query: Cow<'r, str>,
    /// What Shadow and Audit policies, and the allowing rule, had to say, in evaluation order.
    pub reasons: Vec<Reason<'c>>,
}

/// What to do with a TCP connection.
#[derive(Debug)]
pub struct TcpDecision<'c> {
    /// The outcome; `Proceed(Some(backends))` are the weighted backends of the rule that won.
    pub verdict: Verdict<'c, CompiledTcpRule>,
    /// As for HTTP.
    pub reasons: Vec<Reason<'c>>,
}

/// One compiled TCP rule.
#[derive(Debug)]
pub struct CompiledTcpRule {
    /// `namespace/route/rule`.
    pub id: String,
    /// The weighted backends.
    pub backends: Vec<Backend>,
}

/// The outcome.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'c, R> {
    /// Goes on. `Some`: by this rule. `None`: no rule concerns it (no routes, or inbound), it
    /// is balanced over the service's endpoints.
    Proceed(Option<&'c R>),
    /// The service has routes and none matches: 404 (gRPC UNIMPLEMENTED).
    NoRoute,
    /// Refused by authorization: 403 (gRPC PERMISSION_DENIED).
    Denied(Denial<'c>),
    /// The request itself is refused: 400.
    Malformed(PathRejection),
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial<'c> {
    /// A Deny rule matched.
    Rule {
        /// `namespace/name` of the policy.
        policy: &'c str,
        /// The rule's name.
        rule: &'c str,
    },
    /// Allow policies select the workload and none allows this.
    NotAllowed {
        /// `namespace/name` of the first Allow policy.
        policy: &'c str,
    },
    /// A policy could not be compiled; it fails closed.
    InvalidPolicy {
        /// `namespace/name` of the policy.
        policy: &'c str,
    },
}

/// One policy's say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'c> {
    /// `namespace/name` of the policy.
    pub policy: &'c str,
    /// The rule that matched; empty for "nothing allowed it".
    pub rule: &'c str,
    /// The policy's action.
    pub action: AuthAction,
    /// It only would have acted.
    pub shadow: bool,
}

/// Decides an HTTP request.
pub fn decide_http<'c, 'r>(
    scope: Scope<'c>,
    request: &HttpFacts<'r>,
    peer: &Peer<'_>,
    observer: &mut impl Observer,
) -> HttpDecision<'c, 'r> {
    let _ = (scope, request, peer, observer);
    HttpDecision {
        verdict: Verdict::NoRoute,
        path_and_query: Cow::Borrowed(""),
        reasons: Vec::new(),
    }
}

/// Decides a TCP connection. `destination`: the address and port that the client dialled (outbound).
pub fn decide_tcp<'c>(
    scope: Scope<'c>,
    destination: (IpAddr, u16),
    peer: &Peer<'_>,
    observer: &mut impl Observer,
) -> TcpDecision<'c> {
    let _ = (scope, destination, peer, observer);
    TcpDecision {
        verdict: Verdict::NoRoute,
        reasons: Vec::new(),
    }
}

/// Picks a backend by weight. `draw` is uniform over `u64`: the engine has no randomness of its
/// own. `None` when no weight is above 0.
pub fn pick_backend(backends: &[Backend], draw: u64) -> Option<&Backend> {
    let total: u64 = backends
        .iter()
        .map(|backend| u64::from(backend.weight))
        .sum();
    // Multiply-shift maps the draw onto 0..total without the bias of a remainder.
    let mut point = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
    backends.iter().find(|backend| {
        let weight = u64::from(backend.weight);
        let here = point < weight;
        point = point.saturating_sub(weight);
        here
    })
}

//! What a decision is: a value with reasons. Logs and metrics stand outside it.

use std::borrow::Cow;

use crate::{
    authority::AuthorityRejection,
    compile::{
        CompiledAction, CompiledHttpRule, CompiledInbound, CompiledListener, CompiledPort,
        CompiledTcpRule, RedirectedRequest,
    },
    documents::AuthAction,
    path::PathRejection,
};

/// Where the request stands on its way.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'c> {
    /// Leaving its client: routed, not authorized (the server's side does that).
    Outbound(&'c CompiledPort),
    /// Arriving at its server on the pod's own port: authorized, not routed.
    Inbound(&'c CompiledInbound, u16),
    /// Entering at a gateway: routed, and where a rule matches, authorized. What matches no rule
    /// is told 404 and nothing more.
    Gateway(&'c CompiledListener),
}

/// What to do with an HTTP request.
#[derive(Debug)]
pub struct HttpDecision<'c, 'r> {
    /// The outcome.
    pub verdict: Verdict<'c, CompiledHttpRule>,
    /// Normalised path and query: the form to forward. Empty when malformed.
    pub path_and_query: Cow<'r, str>,
    /// How many bytes of the path the winning match accounts for: what ReplacePrefix takes
    /// away. 0 where no rule won.
    pub matched_prefix: usize,
    /// What Shadow and Audit policies, and the allowing rule, had to say, in evaluation order.
    pub reasons: Vec<Reason<'c>>,
}

impl<'c> HttpDecision<'c, '_> {
    /// The rule that the request goes on by.
    pub fn rule(&self) -> Option<&'c CompiledHttpRule> {
        match self.verdict {
            Verdict::Proceed(rule) => rule,
            _ => None,
        }
    }

    /// The path and query to forward, rewritten where the rule says so.
    pub fn forwarded_path(&self) -> Cow<'_, str> {
        match self.rule() {
            Some(rule) => rule.rewrite_path(&self.path_and_query, self.matched_prefix),
            None => Cow::Borrowed(&self.path_and_query),
        }
    }

    /// The `Location` where the rule redirects. `scheme` and `authority` are the client's,
    /// `port` the listener's or service's.
    pub fn location(&self, scheme: &str, authority: &str, port: u16) -> Option<String> {
        match &self.rule()?.action {
            CompiledAction::Redirect(redirect) => Some(redirect.location(&RedirectedRequest {
                scheme,
                authority,
                port,
                path_and_query: &self.path_and_query,
                matched_prefix: self.matched_prefix,
            })),
            _ => None,
        }
    }
}

/// What to do with a TCP connection.
#[derive(Debug)]
pub struct TcpDecision<'c> {
    /// The outcome; `Proceed(Some(rule))` carries the weighted backends of the rule that won.
    pub verdict: Verdict<'c, CompiledTcpRule>,
    /// As for HTTP.
    pub reasons: Vec<Reason<'c>>,
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
    Malformed(RequestRejection),
}

/// Why a request is refused whatever the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestRejection {
    /// Its target.
    #[error(transparent)]
    Path(#[from] PathRejection),
    /// Its host.
    #[error(transparent)]
    Authority(#[from] AuthorityRejection),
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

impl<'c> Denial<'c> {
    /// `namespace/name` of the policy that refused.
    pub fn policy(&self) -> &'c str {
        match self {
            Self::Rule { policy, .. }
            | Self::NotAllowed { policy }
            | Self::InvalidPolicy { policy } => policy,
        }
    }

    /// The rule that refused; `-` where it was the lack of one.
    pub fn rule(&self) -> &'c str {
        match self {
            Self::Rule { rule, .. } => rule,
            Self::NotAllowed { .. } | Self::InvalidPolicy { .. } => "-",
        }
    }
}

/// `namespace/name/rule`: the value of `x-weft-denied-by`.
impl std::fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.policy(), self.rule())
    }
}

/// One policy's say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'c> {
    /// `namespace/name` of the policy.
    pub policy: &'c str,
    /// The rule that matched; empty for "nothing allowed it" and for a policy that does not
    /// compile.
    pub rule: &'c str,
    /// The policy's action.
    pub action: AuthAction,
    /// It only would have acted.
    pub shadow: bool,
}

impl Reason<'_> {
    /// Whether this is a Shadow policy that would have refused the request.
    pub fn would_deny(&self) -> bool {
        self.shadow
            && match self.action {
                AuthAction::Deny => true,
                AuthAction::Allow => self.rule.is_empty(),
                AuthAction::Audit => false,
            }
    }
}

//! Where traffic goes.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Labels, Millis, ServiceRef};

/// Rules and whose traffic they steer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteScope<R> {
    /// `None`: every client (producer routes). `Some`: clients in this namespace only
    /// (consumer routes, which replace the producer's for them).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_namespace: Option<String>,
    /// In order of age, then `namespace/name`, then position: the engine sorts by specificity
    /// and this order breaks the ties.
    pub rules: Vec<R>,
}

/// One HTTP rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRule {
    /// `namespace/route/rule`; the rule's name, or its position where it has none. Appears in
    /// logs, metrics and `weft why`.
    pub id: String,
    /// Hostnames (exact, or `*.suffix`) for gateway routes. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// OR of ANDs. Empty: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
    /// Changes to the request's headers.
    #[serde(default, skip_serializing_if = "HeaderChanges::is_empty")]
    pub request_headers: HeaderChanges,
    /// Changes to the response's headers.
    #[serde(default, skip_serializing_if = "HeaderChanges::is_empty")]
    pub response_headers: HeaderChanges,
    /// Changes to host and path before forwarding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// What becomes of the request.
    pub action: HttpAction,
    /// Time-outs of this rule; an absent one falls back to the service's policy.
    #[serde(default, skip_serializing_if = "RouteTimeouts::is_empty")]
    pub timeouts: RouteTimeouts,
    /// Retries; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// One alternative of a rule: every condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatch {
    /// On the normalised path, query excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// The method, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// On headers; names are lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// On query parameters (percent-decoded); the first of a repeated name counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_params: Vec<HeaderMatch>,
    /// On cookies; the first of a repeated name counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<HeaderMatch>,
    /// On the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceMatch>,
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum PathMatch {
    /// The whole path, byte for byte.
    Exact(String),
    /// Whole segments: `/a` matches `/a` and `/a/b`, never `/ab`.
    Prefix(String),
    /// RE2 syntax, anchored at both ends, linear time.
    Regex(String),
}

/// A named value (header, query parameter, cookie) and its condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// The header's, parameter's or cookie's name.
    pub name: String,
    /// The condition.
    #[serde(flatten)]
    pub value: ValueMatch,
}

/// A condition on a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum ValueMatch {
    /// The whole value.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// RE2 syntax, anchored at both ends.
    Regex(String),
    /// There is one.
    Present,
    /// There is none.
    Absent,
}

/// Conditions on the caller: AND of the fields, OR within each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceMatch {
    /// Namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Service accounts as `namespace/name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,
    /// Pod labels of the caller, all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Changes to headers, applied as set, then add, then remove. Names are lower case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderChanges {
    /// Replaces every value of the name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Appends a value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
    /// Removes every value of the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

impl HeaderChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Changes to the request before it is forwarded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rewrite {
    /// The new authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The new path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
}

/// How a path is rewritten. The query is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum PathRewrite {
    /// The whole path becomes this.
    ReplaceFull {
        /// The new path.
        value: String,
    },
    /// The matched prefix becomes this (Gateway API's ReplacePrefixMatch).
    ReplacePrefix {
        /// The new prefix.
        value: String,
    },
    /// Every match of a pattern is substituted; `$1` refers to a group.
    Regex {
        /// RE2 syntax, not anchored.
        pattern: String,
        /// The substitution.
        substitution: String,
    },
}

/// What becomes of a matched request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpAction {
    /// Goes to one of the backends, by weight. No backend with a weight above 0: 500.
    Forward(Vec<Backend>),
    /// Is answered with a redirect.
    Redirect(Redirect),
    /// Is answered here.
    DirectResponse(DirectResponse),
}

/// A weighted backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backend {
    /// The service and port.
    pub service: ServiceRef,
    /// Relative weight; weights need not add to 100.
    pub weight: u32,
    /// A subset: only endpoints that have all these labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The reference does not resolve: requests that draw it get 500 (Gateway API).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub invalid: bool,
}

/// A redirect; absent parts are kept from the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Redirect {
    /// `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The new host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The new port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The new path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status_code: u16,
}

/// A response given by the proxy itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status_code: u16,
    /// At most 4 KiB.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// `text/plain` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Time-outs of a rule; 0 disables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteTimeouts {
    /// The whole request with all its attempts, up to the end of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Millis>,
    /// One attempt, up to the response's head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Millis>,
    /// No byte in either direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Millis>,
}

impl RouteTimeouts {
    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Retries of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// Attempts beyond the first.
    pub attempts: u32,
    /// What is retried.
    pub on: Vec<RetryOn>,
    /// Methods that may be repeated once sent; what was never sent may always be.
    pub methods: Vec<String>,
    /// Backoff before the first retry; doubles with full jitter.
    pub backoff_base: Millis,
    /// Backoff at most.
    pub backoff_max: Millis,
}

/// A condition for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryOn {
    /// No connection could be made: nothing was sent.
    ConnectFailure,
    /// HTTP/2 REFUSED_STREAM or GOAWAY before the stream: nothing was processed.
    RefusedStream,
    /// The connection ended before a response began.
    ResetBeforeResponse,
    /// 502, 503 or 504.
    GatewayError,
    /// This status.
    Status(u16),
    /// gRPC UNAVAILABLE (14) in a trailers-only response.
    Unavailable,
}

/// One TCP rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpRule {
    /// `namespace/route/rule`.
    pub id: String,
    /// OR of ANDs. Empty: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<TcpMatch>,
    /// One is drawn per connection, by weight.
    pub backends: Vec<Backend>,
}

/// One alternative of a TCP rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpMatch {
    /// Destination ports. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Destination addresses. Empty: any.
    #[serde(rename = "destinationCIDRs", skip_serializing_if = "Vec::is_empty")]
    pub destination_cidrs: Vec<IpNet>,
}

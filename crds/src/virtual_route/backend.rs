//! Where requests go, for how long, and how often.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// A weighted backend: a Service's port, or a subset of its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.weight >= 0 && self.weight <= 1000000",
        "backendRefs[].weight: a weight is a share, not a percentage; use 0 to 1000000"),
    validation = ("self.port >= 1 && self.port <= 65535",
        "backendRefs[].port: not a port number; use the Service's port, 1 to 65535"),
)]
pub struct BackendRef {
    /// The Service's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The Service's namespace. Default: the route's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The Service's port (not the target port).
    pub port: i32,
    /// Its share: weight / sum of weights. 0 to 1000000; 0 sends nothing. Default 1.
    #[serde(default = "one")]
    pub weight: i32,
    /// A subset: only endpoints whose pods have all these labels. At most 8. Default: all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8), transform = crate::definitions::label_values)]
    pub labels: BTreeMap<String, String>,
}

fn one() -> i32 {
    1
}

/// Time-outs of a rule; `0s` disables one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)",
        "timeouts.backendRequest: one attempt cannot last longer than the whole request; lower it to at most timeouts.request"),
    validation = ("has(self.request) || has(self.backendRequest) || has(self.idle)",
        "timeouts: says nothing when empty; give request, backendRequest or idle, or remove timeouts"),
)]
pub struct RouteTimeouts {
    /// The whole request with all its attempts, up to the end of the response. Gateway API
    /// duration (`2s`). Default: that of the MeshPolicy, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// One attempt, up to the response's head. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Duration>,
    /// No byte in either direction. Default: that of the MeshPolicy, else 5m (1h once upgraded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}

/// Retries of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.attempts >= 1 && self.attempts <= 10",
        "retry.attempts: more attempts than a failing backend can bear, or none; use 1 to 10"),
    validation = ("!has(self.retryOn) || self.retryOn.all(c, c in ['connect-failure', 'refused-stream', 'reset-before-response', 'gateway-error', 'unavailable'] || c.matches('^[45][0-9][0-9]$'))",
        "retry.retryOn: not a condition; use connect-failure, refused-stream, reset-before-response, gateway-error, unavailable, or a status such as \"503\""),
    validation = ("!has(self.methods) || self.methods.all(m, m.matches('^[A-Z][A-Z-]*$'))",
        "retry.methods: methods are upper case; write GET, POST, …"),
)]
pub struct Retry {
    /// Attempts beyond the first, 1 to 10.
    pub attempts: i32,
    /// What is retried: `connect-failure`, `refused-stream`, `reset-before-response`,
    /// `gateway-error` (502, 503, 504), `unavailable` (gRPC), or a status such as `"503"`.
    /// Default: connect-failure, refused-stream, reset-before-response, gateway-error,
    /// unavailable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 32)))]
    pub retry_on: Vec<String>,
    /// Methods that may be repeated once they were sent; what was never sent may always be.
    /// Default: GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 32)))]
    pub methods: Vec<String>,
    /// The wait before a retry. Default: base 25ms, max 250ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// Exponential backoff with full jitter; honours Retry-After.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.base) || !has(self.max) || duration(self.base) <= duration(self.max)",
        "retry.backoff.base: longer than max; lower base or raise max"),
    validation = ("!has(self.max) || duration(self.max) <= duration('60s')",
        "retry.backoff.max: a request should not wait so long; use at most 60s"),
)]
pub struct Backoff {
    /// Before the first retry; doubles with each. Gateway API duration. Default 25ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Duration>,
    /// At most. Gateway API duration, at most 60s. Default 250ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Duration>,
}

//! One HTTP rule.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    BackendRef, DirectResponse, HeaderChanges, HttpMatch, Redirect, Retry, Rewrite, RouteTimeouts,
};

/// What becomes of requests that match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("[has(self.backendRefs), has(self.redirect), has(self.directResponse)].filter(x, x).size() == 1",
        "backendRefs, redirect, directResponse: a rule does one thing; give exactly one of them"),
    validation = ("!has(self.rewrite) || has(self.backendRefs)",
        "rewrite: only what is forwarded can be rewritten; add backendRefs or remove rewrite"),
    validation = ("!has(self.retry) || has(self.backendRefs)",
        "retry: only what is forwarded can be retried; add backendRefs or remove retry"),
    validation = ("!has(self.timeouts) || has(self.backendRefs)",
        "timeouts: only what is forwarded can time out; add backendRefs or remove timeouts"),
    validation = ("!has(self.rewrite) || !has(self.rewrite.path) || self.rewrite.path.type != 'ReplacePrefix' || (has(self.matches) && self.matches.all(m, has(m.path) && m.path.type == 'Prefix'))",
        "rewrite.path.type: ReplacePrefix replaces the prefix that matched; give every match a path of type Prefix, or use ReplaceFull"),
    validation = ("!has(self.redirect) || !has(self.redirect.path) || self.redirect.path.type != 'ReplacePrefix' || (has(self.matches) && self.matches.all(m, has(m.path) && m.path.type == 'Prefix'))",
        "redirect.path.type: ReplacePrefix replaces the prefix that matched; give every match a path of type Prefix, or use ReplaceFull"),
    validation = ("!has(self.backendRefs) || self.backendRefs.exists(b, b.weight > 0)",
        "backendRefs: every weight is 0, so no request could go anywhere; give one backend a weight of 1 or more"),
    validation = ("!has(self.name) || self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "name: appears in logs and metrics; use lower-case letters, digits and hyphens, at most 63"),
)]
pub struct HttpRule {
    /// The rule's name, as it appears in logs, metrics and status. Default: its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Which requests: one of the matches must hold. At most 16. Default: every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub matches: Vec<HttpMatch>,
    /// Changes to the request's headers before it is forwarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<HeaderChanges>,
    /// Changes to the response's headers before it is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderChanges>,
    /// Changes to host and path before the request is forwarded. Only with backendRefs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Answers with a redirect, instead of forwarding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Answers with a fixed response, instead of forwarding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_response: Option<DirectResponse>,
    /// Time-outs. Default: those of the MeshPolicy of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// Retries, always under the service's retry budget. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Where the requests go, by weight. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

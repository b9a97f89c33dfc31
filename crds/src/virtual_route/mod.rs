//! VirtualRoute: where traffic goes.
//!
//! A refused one keeps its last good meaning. One that never had any steers its parents, as far
//! as they can be read, by the rules in which nothing is wrong; what the others match is answered
//! with 500 (a closed connection, for TCP), as the Gateway API answers for a backend that is not
//! there, and does not go elsewhere in silence. What is wrong outside the rules is wrong in all.

mod action;
mod backend;
mod http;
mod matches;
mod tcp;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use action::{
    DirectResponse, HeaderChanges, PathRewrite, PathRewriteType, Redirect, RedirectScheme, Rewrite,
};
pub use backend::{BackendRef, Backoff, Retry, RouteTimeouts};
pub use http::HttpRule;
pub use matches::{
    HttpMatch, NamedValueMatch, PathMatch, PathMatchType, SourceMatch, ValueMatchType,
};
pub use tcp::{TcpMatch, TcpRule};

use crate::{reference::ParentRef, status::Status};

/// Where traffic goes: rules for the traffic of Services and Gateways.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "weft.dev",
    version = "v1alpha1",
    kind = "VirtualRoute",
    plural = "virtualroutes",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    shortname = "vr",
    category = "weft",
    category = "mesh",
    doc = "Where traffic goes: rules for the traffic of Services and Gateways."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.http) != has(self.tcp)",
        "http, tcp: a route speaks one protocol; give exactly one of http and tcp"),
    validation = ("!has(self.hostnames) || self.parentRefs.all(p, p.kind == 'Gateway')",
        "hostnames: a Service is known by its own names; leave hostnames out or use only Gateway parents"),
    validation = ("!has(self.hostnames) || self.hostnames.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",
        "hostnames: not a host name; use lower-case DNS names such as shop.example.com, with *. only at the front"),
    validation = ("!has(self.hostnames) || self.hostnames.all(h, !isIP(h))",
        "hostnames: an IP address is no host name; name a DNS name, or leave hostnames out to take any"),
    validation = ("!has(self.tcp) || self.parentRefs.all(p, p.kind == 'Service')",
        "tcp: a Gateway takes http rules only; use a Service parent for tcp rules"),
    validation = ("self.parentRefs.all(p, self.parentRefs.exists_one(q, q == p))",
        "parentRefs: the same parent is named twice; remove one"),
    validation = ("!has(self.http) || self.http.all(r, !has(r.name) || self.http.exists_one(s, has(s.name) && s.name == r.name))",
        "http: two rules have the same name; give each rule its own name"),
    validation = ("!has(self.tcp) || self.tcp.all(r, !has(r.name) || self.tcp.exists_one(s, has(s.name) && s.name == r.name))",
        "tcp: two rules have the same name; give each rule its own name"),
)]
pub struct VirtualRouteSpec {
    /// Whose traffic this route steers. 1 to 16.
    #[schemars(length(min = 1, max = 16))]
    pub parent_refs: Vec<ParentRef>,
    /// Hosts that the rules are for, with Gateway parents: `shop.example.com`, or
    /// `*.example.com` for every name below. At most 16. Default: any host of the listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253)))]
    pub hostnames: Vec<String>,
    /// HTTP rules (gRPC and WebSocket included). The most specific match wins over all rules of
    /// all routes of a parent: Exact path, then Regex, then longer Prefix; then method, more
    /// headers, more query parameters; then the older route, then the order here. 1 to 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub http: Vec<HttpRule>,
    /// TCP rules: a backend is drawn per connection. 1 to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub tcp: Vec<TcpRule>,
}

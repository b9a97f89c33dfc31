//! What a rule does with a request, other than choosing a backend.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes to headers, applied as set, then add, then remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(!has(self.set) || self.set.all(n, n.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$'))) && (!has(self.add) || self.add.all(n, n.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$'))) && (!has(self.remove) || self.remove.all(n, n.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$')))",
        "set, add, remove: not a header name; use letters, digits and hyphens, no colon (host and path change with rewrite)"),
    validation = ("(!has(self.set) || !self.set.exists(n, n.lowerAscii() in ['connection', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length'])) && (!has(self.add) || !self.add.exists(n, n.lowerAscii() in ['connection', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length'])) && (!has(self.remove) || !self.remove.exists(n, n.lowerAscii() in ['connection', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length']))",
        "set, add, remove: Host and the headers of the connection belong to the proxy; remove this one (change the host with rewrite.hostname)"),
    validation = ("(!has(self.set) || !self.set.exists(n, n.lowerAscii() == 'x-forwarded-client-cert' || n.lowerAscii().startsWith('x-weft-'))) && (!has(self.add) || !self.add.exists(n, n.lowerAscii() == 'x-forwarded-client-cert' || n.lowerAscii().startsWith('x-weft-')))",
        "set, add: x-forwarded-client-cert and x-weft-… carry what the mesh has proven; use another header name"),
    validation = ("(!has(self.set) || self.set.all(n, !self.set[n].matches('[\\\\x00-\\\\x08\\\\x0a-\\\\x1f\\\\x7f]'))) && (!has(self.add) || self.add.all(n, !self.add[n].matches('[\\\\x00-\\\\x08\\\\x0a-\\\\x1f\\\\x7f]')))",
        "set, add: a header's value has no line breaks or control characters; remove them"),
    validation = ("!has(self.remove) || !has(self.set) || !self.remove.exists(n, n in self.set)",
        "remove: removes a header that set has just set; name it in one of them only"),
)]
pub struct HeaderChanges {
    /// Replaces every value of the header. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), transform = crate::definitions::header_values)]
    pub set: BTreeMap<String, String>,
    /// Appends a value to the header. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), transform = crate::definitions::header_values)]
    pub add: BTreeMap<String, String>,
    /// Removes every value of the header. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)))]
    pub remove: Vec<String>,
}

/// Changes to host and path before a request is forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.hostname) || has(self.path)",
        "rewrite: changes nothing when empty; give hostname or path, or remove rewrite"),
    validation = ("!has(self.hostname) || self.hostname.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        "rewrite.hostname: not a host name; use a lower-case DNS name without a port"),
)]
pub struct Rewrite {
    /// The new host, without a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub hostname: Option<String>,
    /// The new path; the query is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
}

/// How a path is rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathRewriteType {
    /// The whole path becomes `value`.
    #[default]
    ReplaceFull,
    /// The prefix that matched becomes `value`.
    ReplacePrefix,
    /// Every match of `pattern` becomes `substitution`.
    Regex,
}

/// A new path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type == 'Regex' ? (has(self.pattern) && has(self.substitution) && !has(self.value)) : (has(self.value) && !has(self.pattern) && !has(self.substitution))",
        "path: Regex takes pattern and substitution, ReplaceFull and ReplacePrefix take value; give the fields of the type"),
    validation = ("!has(self.value) || self.value.startsWith('/')",
        "path.value: a path begins with a slash; write /…"),
    validation = ("!has(self.value) || !self.value.matches('[?#]')",
        "path.value: holds a query or fragment; only the path can be replaced, the query is kept"),
)]
pub struct PathRewrite {
    /// `ReplaceFull`, `ReplacePrefix` (the prefix that matched) or `Regex`.
    #[serde(rename = "type")]
    pub kind: PathRewriteType,
    /// The new path or prefix, for `ReplaceFull` and `ReplacePrefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub value: Option<String>,
    /// What is replaced, for `Regex`: RE2 syntax, not anchored, linear time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
    /// What it becomes, for `Regex`; `$1` refers to a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub substitution: Option<String>,
}

/// The scheme of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RedirectScheme {
    /// Plain HTTP.
    #[serde(rename = "http")]
    Http,
    /// HTTP over TLS.
    #[serde(rename = "https")]
    Https,
}

/// A redirect; what is absent is kept from the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.scheme) || has(self.hostname) || has(self.port) || has(self.path)",
        "redirect: leads back to where the request came from; give scheme, hostname, port or path"),
    validation = ("self.statusCode in [301, 302, 303, 307, 308]",
        "redirect.statusCode: not a redirect; use 301, 302, 303, 307 or 308"),
    validation = ("!has(self.hostname) || self.hostname.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        "redirect.hostname: not a host name; use a lower-case DNS name and give the port in port"),
    validation = ("!has(self.port) || (self.port >= 1 && self.port <= 65535)",
        "redirect.port: not a port number; use 1 to 65535"),
)]
pub struct Redirect {
    /// `http` or `https`. Default: the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<RedirectScheme>,
    /// The new host, without a port. Default: the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub hostname: Option<String>,
    /// The new port. Default: the scheme's own port if scheme is given, else the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// The new path; the query is kept. Default: the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// 301, 302 (default), 303, 307 or 308.
    #[serde(default = "found")]
    pub status_code: i32,
}

fn found() -> i32 {
    302
}

/// A response that the proxy gives itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.statusCode >= 200 && self.statusCode <= 599",
        "directResponse.statusCode: not a final status; use 200 to 599"),
    validation = ("!has(self.body) || !(self.statusCode in [204, 205, 304])",
        "directResponse.body: a response of status 204, 205 or 304 has no body; remove body or use another status"),
    validation = ("!has(self.contentType) || self.contentType.matches('^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *; *[A-Za-z0-9-]+=[A-Za-z0-9-]+)*$')",
        "directResponse.contentType: not a media type; write type/subtype such as application/json"),
)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status_code: i32,
    /// The body. At most 4096 characters. Default: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub body: Option<String>,
    /// The body's media type. Default: `text/plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub content_type: Option<String>,
}

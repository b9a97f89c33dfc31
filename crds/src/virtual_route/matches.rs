//! Conditions on an HTTP request.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Conditions on a request; every one must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.method) || self.method.matches('^[A-Z][A-Z-]*$')",
        "method: methods are upper case and compared exactly; write GET, POST, …"),
    validation = ("!has(self.headers) || self.headers.all(h, self.headers.exists_one(i, i.name.lowerAscii() == h.name.lowerAscii()))",
        "headers: the same header is named twice (names ignore case); use one entry, or several matches for alternatives"),
    validation = ("!has(self.headers) || self.headers.all(h, h.name.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$'))",
        "headers[].name: not a header name; use letters, digits and hyphens, no colon (match the path, method or hostname by their own fields)"),
    validation = ("!has(self.queryParams) || self.queryParams.all(h, self.queryParams.exists_one(i, i.name == h.name))",
        "queryParams: the same parameter is named twice; use one entry, or several matches for alternatives"),
    validation = ("!has(self.cookies) || self.cookies.all(h, h.name.matches('^[A-Za-z0-9!#$%&*+.^_|~-]+$'))",
        "cookies[].name: not a cookie name; use letters, digits, hyphens and underscores"),
)]
pub struct HttpMatch {
    /// On the path, after normalisation (percent-decoding of unreserved characters, dot
    /// segments, duplicate slashes), without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// On the method, exactly: `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub method: Option<String>,
    /// On headers; names ignore case. All must hold. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub headers: Vec<NamedValueMatch>,
    /// On query parameters, percent-decoded; the first of a repeated name counts. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub query_params: Vec<NamedValueMatch>,
    /// On cookies; the first of a repeated name counts. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub cookies: Vec<NamedValueMatch>,
    /// On the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceMatch>,
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// The whole path.
    Exact,
    /// Whole segments: `/a` matches `/a` and `/a/b`, never `/ab`.
    #[default]
    Prefix,
    /// RE2 syntax, anchored at both ends, linear time.
    Regex,
}

/// A condition on the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type == 'Regex' || self.value.startsWith('/')",
        "path.value: a path begins with a slash; write /… or use type Regex"),
    validation = ("self.type == 'Regex' || !self.value.matches('[?#]')",
        "path.value: holds a query or fragment, which the path never does; match the query with queryParams"),
    validation = ("self.type == 'Regex' || !self.value.matches('//|/[.][.]?(/|$)')",
        "path.value: paths are normalised before they are compared, so this never matches; remove duplicate slashes and dot segments"),
)]
pub struct PathMatch {
    /// `Exact`, `Prefix` (whole segments: `/a` matches `/a/b`, never `/ab`) or `Regex` (RE2
    /// syntax, anchored, linear time).
    #[serde(rename = "type", default)]
    pub kind: PathMatchType,
    /// The path, prefix or pattern. At most 1024 characters.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ValueMatchType {
    /// The whole value.
    #[default]
    Exact,
    /// Its beginning.
    Prefix,
    /// RE2 syntax, anchored at both ends.
    Regex,
    /// There is one.
    Present,
    /// There is none.
    Absent,
}

/// A condition on a named value: a header, a query parameter, a cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(self.type in ['Present', 'Absent']) || has(self.value)",
        "value: Exact, Prefix and Regex compare with a value; give one, or use type Present"),
    validation = ("!(self.type in ['Present', 'Absent']) || !has(self.value)",
        "value: Present and Absent look at no value; remove value, or use type Exact"),
)]
pub struct NamedValueMatch {
    /// The name. Header names ignore case; the others do not. At most 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// `Exact` (default), `Prefix`, `Regex` (RE2 syntax, anchored), `Present` or `Absent`.
    #[serde(rename = "type", default)]
    pub kind: ValueMatchType,
    /// What to compare with; none with `Present` and `Absent`. At most 1024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

/// Conditions on the caller: every field must hold, one entry of it is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.namespaces) || has(self.serviceAccounts) || has(self.labels)",
        "source: says nothing when empty; give namespaces, serviceAccounts or labels, or remove source"),
    validation = ("!has(self.serviceAccounts) || self.serviceAccounts.all(s, s.matches('^[a-z0-9][-a-z0-9]*/[a-z0-9][-.a-z0-9]*$'))",
        "source.serviceAccounts: a service account is named with its namespace; write namespace/name"),
)]
pub struct SourceMatch {
    /// Namespaces of the caller. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    pub namespaces: Vec<String>,
    /// Service accounts of the caller, as `namespace/name`. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 317)))]
    pub service_accounts: Vec<String>,
    /// Labels of the caller's pod, all of them. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), transform = crate::definitions::label_values)]
    pub labels: BTreeMap<String, String>,
}

//! A rule: from AND to AND when.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A rule: from AND to AND when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.name) || self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "rules[].name: appears in logs and refusals; use lower-case letters, digits and hyphens, at most 63"),
)]
pub struct AuthRule {
    /// The rule's name, as refusals, logs and metrics give it. Default: its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Who calls: one entry that matches is enough. At most 8. Default: anyone, callers
    /// without identity included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8))]
    pub from: Vec<Source>,
    /// What is called: one entry that matches is enough. At most 8. Default: anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8))]
    pub to: Vec<To>,
    /// Further conditions; all must hold. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub when: Vec<Condition>,
}

/// Who calls: every field must hold, one entry of it is enough; a not… field must not match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.serviceAccounts) || has(self.notServiceAccounts) || has(self.namespaces) || has(self.notNamespaces) || has(self.principals) || has(self.notPrincipals) || has(self.ipBlocks) || has(self.notIpBlocks)",
        "from: an empty entry would match anyone; say who, or remove from to mean anyone"),
    validation = ("!has(self.serviceAccounts) || self.serviceAccounts.all(s, s.matches('^([*]|[a-z0-9][-a-z0-9]*)/([*]|[a-z0-9][-.a-z0-9]*)$'))",
        "from.serviceAccounts: a service account is named with its namespace; write namespace/name (or * alone for either)"),
    validation = ("!has(self.notServiceAccounts) || self.notServiceAccounts.all(s, s.matches('^([*]|[a-z0-9][-a-z0-9]*)/([*]|[a-z0-9][-.a-z0-9]*)$'))",
        "from.notServiceAccounts: a service account is named with its namespace; write namespace/name (or * alone for either)"),
    validation = ("(!has(self.principals) || self.principals.all(p, p.startsWith('spiffe://'))) && (!has(self.notPrincipals) || self.notPrincipals.all(p, p.startsWith('spiffe://')))",
        "from.principals, from.notPrincipals: a principal is a SPIFFE ID; write spiffe://trust-domain/ns/namespace/sa/name"),
    validation = ("!has(self.ipBlocks) || self.ipBlocks.all(b, isCIDR(b) || isIP(b))",
        "from.ipBlocks: not an address or address block; write 10.0.0.0/8 or 192.0.2.7"),
    validation = ("!has(self.notIpBlocks) || self.notIpBlocks.all(b, isCIDR(b) || isIP(b))",
        "from.notIpBlocks: not an address or address block; write 10.0.0.0/8 or 192.0.2.7"),
    validation = ("(!has(self.namespaces) || self.namespaces.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))) && (!has(self.notNamespaces) || self.notNamespaces.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')))",
        "from.namespaces, from.notNamespaces: not a namespace's name; names are compared exactly, write each one out"),
)]
pub struct Source {
    /// Service accounts of the caller, as `namespace/name`; `*` alone in either half stands for
    /// any. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 317)))]
    pub service_accounts: Vec<String>,
    /// None of these service accounts. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 317)))]
    pub not_service_accounts: Vec<String>,
    /// Namespaces of the authenticated caller. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 63)))]
    pub namespaces: Vec<String>,
    /// None of these namespaces. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 63)))]
    pub not_namespaces: Vec<String>,
    /// SPIFFE IDs of the caller; `*` matches any run of characters. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 512)))]
    pub principals: Vec<String>,
    /// None of these SPIFFE IDs. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 512)))]
    pub not_principals: Vec<String>,
    /// Addresses of the directly connected peer: `10.0.0.0/8` or `192.0.2.7`. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 64)))]
    pub ip_blocks: Vec<String>,
    /// None of these addresses. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 64)))]
    pub not_ip_blocks: Vec<String>,
}

/// What is called: every field must hold, one entry of it is enough; a not… field must not match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.methods) || has(self.notMethods) || has(self.paths) || has(self.notPaths) || has(self.hosts) || has(self.notHosts) || has(self.ports) || has(self.notPorts)",
        "to: an empty entry would match anything; say what, or remove to to mean anything"),
    validation = ("(!has(self.methods) || self.methods.all(m, m.matches('^[A-Z][A-Z-]*$'))) && (!has(self.notMethods) || self.notMethods.all(m, m.matches('^[A-Z][A-Z-]*$')))",
        "to.methods, to.notMethods: methods are upper case and compared exactly; write GET, POST, …"),
    validation = ("(!has(self.paths) || self.paths.all(p, p.startsWith('/'))) && (!has(self.notPaths) || self.notPaths.all(p, p.startsWith('/')))",
        "to.paths, to.notPaths: a path begins with a slash; write /…"),
    validation = ("(!has(self.paths) || self.paths.all(p, (!p.contains('*') || (p.endsWith('/*') && p.indexOf('*') == p.size() - 1)))) && (!has(self.notPaths) || self.notPaths.all(p, (!p.contains('*') || (p.endsWith('/*') && p.indexOf('*') == p.size() - 1))))",
        "to.paths, to.notPaths: * stands only as the last segment; write /items/* for all below, or {name} for one segment"),
    validation = ("(!has(self.paths) || self.paths.all(p, !(p.contains('?') || p.contains('#') || p.contains('//') || p.contains('/./') || p.contains('/../') || p.endsWith('/.') || p.endsWith('/..')))) && (!has(self.notPaths) || self.notPaths.all(p, !(p.contains('?') || p.contains('#') || p.contains('//') || p.contains('/./') || p.contains('/../') || p.endsWith('/.') || p.endsWith('/..'))))",
        "to.paths, to.notPaths: compared after normalisation and without the query, so this never matches; remove queries, duplicate slashes and dot segments"),
    validation = ("(!has(self.hosts) || self.hosts.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]|[.][a-z0-9])*$'))) && (!has(self.notHosts) || self.notHosts.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]|[.][a-z0-9])*$')))",
        "to.hosts, to.notHosts: not a host name; use lower-case DNS names without a port, with *. only at the front"),
    validation = ("(!has(self.ports) || self.ports.all(p, p >= 1 && p <= 65535)) && (!has(self.notPorts) || self.notPorts.all(p, p >= 1 && p <= 65535))",
        "to.ports, to.notPorts: not a port number; use the pod's own port, 1 to 65535"),
)]
pub struct To {
    /// Methods, exactly: `GET`. HTTP only. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 32)))]
    pub methods: Vec<String>,
    /// None of these methods. HTTP only. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 32)))]
    pub not_methods: Vec<String>,
    /// Paths after normalisation: `/a` exactly, `/a/*` that and all below, `{name}` one
    /// segment. HTTP only. At most 16, of at most 512 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)))]
    pub paths: Vec<String>,
    /// None of these paths. HTTP only. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)))]
    pub not_paths: Vec<String>,
    /// Hosts without port: `shop.example.com`, `*.example.com`. HTTP only. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253)))]
    pub hosts: Vec<String>,
    /// None of these hosts. HTTP only. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253)))]
    pub not_hosts: Vec<String>,
    /// The pod's own ports (target ports). Also stands on TCP. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub ports: Vec<i32>,
    /// None of these ports. Also stands on TCP. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub not_ports: Vec<i32>,
}

/// A further condition on the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.key.matches('^request[.]headers\\\\[[A-Za-z0-9!#$%&*+.^_|~-]+\\\\]$')",
        "when.key: not an attribute; write request.headers[name]"),
    validation = ("has(self.values) || has(self.notValues)",
        "when: demands nothing; give values or notValues"),
    validation = ("(!has(self.values) || self.values.all(v, !v.matches('[*].'))) && (!has(self.notValues) || self.notValues.all(v, !v.matches('[*].')))",
        "when.values, when.notValues: * stands only at the end; write beta* for a prefix, or * for any value"),
)]
pub struct Condition {
    /// The attribute: `request.headers[name]`. Header names ignore case. HTTP only.
    #[schemars(length(min = 1, max = 300))]
    pub key: String,
    /// One of these: a value exactly, `beta*` a prefix, `*` any value. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)))]
    pub values: Vec<String>,
    /// None of these. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)))]
    pub not_values: Vec<String>,
}

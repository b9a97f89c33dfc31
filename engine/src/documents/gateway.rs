//! A gateway's listeners and routes.

use serde::{Deserialize, Serialize};

use super::{AuthorizationPolicy, HttpRule};

/// `gateway.<ns>.<name>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayDocument {
    /// The Gateway's namespace.
    pub namespace: String,
    /// The Gateway's name.
    pub name: String,
    /// Its listeners, in order.
    pub listeners: Vec<GatewayListener>,
    /// AuthPolicies that target it, older first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization: Vec<AuthorizationPolicy>,
}

/// One listener with the routes attached to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayListener {
    /// The listener's (section) name.
    pub name: String,
    /// The port it listens on.
    pub port: u16,
    /// Whether it ends TLS; its certificate is given to the proxy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// Hosts it serves, exact or `*.suffix`; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Rules, older object first. An unmatched request gets 404.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRule>,
}

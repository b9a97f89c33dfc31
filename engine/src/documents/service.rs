//! A service as its clients see it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{ClientPolicy, HttpRule, RouteScope, TcpRule};

/// A Service, and one of its ports (0 where every port is meant).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceRef {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// The Service's port (not the target port).
    pub port: u16,
}

/// What is spoken on a port, from `appProtocol`, else the port name's prefix (`http-`, `grpc-`,
/// `tcp-` …), else [`Protocol::Auto`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/2 by prior knowledge.
    Http,
    /// HTTP/2 only.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// TLS of the application's own: passed through.
    Tls,
    /// Opaque bytes; the server may speak first.
    Tcp,
    /// Not declared: a short sniff decides between HTTP and TCP.
    #[default]
    Auto,
}

impl Protocol {
    /// Whether HTTP conditions can be enforced on it. `Auto` counts: HTTP is what the sniff
    /// looks for, and a connection that turns out to be TCP fails such conditions closed.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc | Self::Auto)
    }
}

/// `service.<ns>.<name>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceDocument {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// Its ClusterIPs; empty for a headless service.
    pub cluster_ips: Vec<IpAddr>,
    /// Its ports, ascending.
    pub ports: Vec<ServicePort>,
    /// How many shards its endpoints are split into: 1 or more.
    pub endpoint_shards: u32,
}

/// One port of a service, with the routes and client-side policy that apply to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// The Service's port.
    pub port: u16,
    /// The port's name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is spoken.
    pub protocol: Protocol,
    /// HTTP rules by whose traffic they steer, older object first. A client whose namespace has
    /// a consumer scope uses only that scope; every other client uses the producer scope.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<RouteScope<HttpRule>>,
    /// TCP rules, in the same manner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<RouteScope<TcpRule>>,
    /// How to call the endpoints of this port: already merged, most specific field first.
    pub policy: ClientPolicy,
}

//! Gateways of the Gateway API, as far as the mesh reads them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// A Gateway (gateway.networking.k8s.io/v1), as far as the mesh reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// Name, namespace, age, generation.
    pub metadata: ObjectMeta,
    /// What it listens on.
    #[serde(default)]
    pub spec: GatewaySpec,
}

/// A Gateway's spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Only `weft` concerns the mesh.
    pub gateway_class_name: String,
    /// Its listeners, in order.
    pub listeners: Vec<GatewayListener>,
}

/// One listener of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayListener {
    /// Its name, which `sectionName` refers to.
    pub name: String,
    /// The port it listens on.
    pub port: u16,
    /// `HTTP`, `HTTPS`, …
    pub protocol: String,
    /// Hosts it serves; absent: all.
    pub hostname: Option<String>,
    /// How TLS is treated, where it is spoken.
    pub tls: Option<GatewayTls>,
    /// Whose routes it takes.
    pub allowed_routes: AllowedRoutes,
}

/// How a listener treats TLS. Which certificate it shows is the gateway's Deployment to say: the
/// operator reads no Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayTls {
    /// `Terminate` (the default) or `Passthrough`.
    pub mode: Option<String>,
}

/// Whose routes a listener takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// Of which namespaces.
    pub namespaces: AllowedNamespaces,
}

/// Namespaces that a listener takes routes of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedNamespaces {
    /// Which.
    pub from: AllowedFrom,
}

/// Gateway API's FromNamespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllowedFrom {
    /// Every namespace.
    All,
    /// The Gateway's own.
    #[default]
    Same,
    /// By label; not served, so none.
    Selector,
    /// None.
    None,
}

//! The addresses behind a service.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::Labels;

/// `endpoints.<ns>.<name>[.<shard>]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointsDocument {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// This shard, from 0; the service document says how many there are.
    pub shard: u32,
    /// Endpoints that share a port mapping.
    pub groups: Vec<EndpointGroup>,
}

/// Endpoints with the same target ports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointGroup {
    /// Service port → target port.
    pub ports: BTreeMap<u16, u16>,
    /// The endpoints, by address.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The pod's address.
    pub address: IpAddr,
    /// The SPIFFE ID that its proxy must prove; `None`: it is not meshed, and is called in
    /// plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The zone it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its pod's labels, cut to the keys that some route's subset names.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Whether it takes new traffic (ready, or serving while nothing else is).
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub ready: bool,
}

fn yes() -> bool {
    true
}

// serde's skip_serializing_if passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_true(value: &bool) -> bool {
    *value
}

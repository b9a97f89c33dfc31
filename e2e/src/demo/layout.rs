//! Which process stands where: read from the Pods of the samples.
//!
//! A pod whose address is 127.1.0.N has its proxy's inbound side there, its service on
//! 127.2.0.N and its proxy's outbound side on 127.3.0.N.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;

use super::DemoError;

/// The namespace of the samples.
pub(super) const NAMESPACE: &str = "bookstore";

/// The ledger's Service port: TCP without capture needs a listener per service.
pub(super) const LEDGER_PORT: u16 = 7000;

/// The gateway's last octet; the pods' are below it.
const GATEWAY: u8 = 20;

/// A pod: one service and one proxy.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) name: String,
    pub(super) service_account: String,
    pub(super) labels: BTreeMap<String, String>,
    /// The arguments of its container; empty for a pod that is only a client.
    pub(super) arguments: Vec<String>,
    pub(super) port: Option<u16>,
    /// N in 127.x.0.N.
    pub(super) number: u8,
}

impl Workload {
    /// A pod that has only a proxy.
    pub(super) fn client(name: &str, service_account: &str, number: u8) -> Self {
        Self {
            name: name.to_owned(),
            service_account: service_account.to_owned(),
            labels: BTreeMap::new(),
            arguments: Vec::new(),
            port: None,
            number,
        }
    }

    /// The front door.
    pub(super) fn gateway() -> Self {
        Self::client("gateway-1", "gateway", GATEWAY)
    }

    fn at(&self, net: u8, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, net, 0, self.number)), port)
    }

    /// Where other proxies reach it (port 0 if it serves nothing).
    pub(super) fn inbound(&self) -> SocketAddr {
        self.at(1, self.port.unwrap_or(0))
    }

    /// Where the gateway listens for the world.
    pub(super) fn front(&self) -> SocketAddr {
        self.at(1, 8080)
    }

    /// Where its service listens.
    pub(super) fn service(&self) -> SocketAddr {
        self.at(2, self.port.unwrap_or(8080))
    }

    /// Where its service says how it is.
    pub(super) fn health(&self) -> SocketAddr {
        self.at(2, 8081)
    }

    /// Where its service calls others.
    pub(super) fn outbound(&self) -> SocketAddr {
        self.at(3, 15001)
    }

    /// Where its service calls the ledger.
    pub(super) fn ledger(&self) -> SocketAddr {
        self.at(3, LEDGER_PORT)
    }

    /// Its proxy's metrics and readiness.
    pub(super) fn metrics(&self) -> SocketAddr {
        self.at(3, 15020)
    }

    /// Its proxy's admin port.
    pub(super) fn admin(&self) -> SocketAddr {
        self.at(3, 15000)
    }

    /// Its labels as a flag: `k=v,k=v`.
    pub(super) fn label_list(&self) -> String {
        let pairs = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    }

    fn from_pod(pod: Pod) -> Result<Self, &'static str> {
        let spec = pod.spec.ok_or("spec is missing")?;
        let container = spec
            .containers
            .into_iter()
            .next()
            .ok_or("spec.containers is empty")?;
        let address = pod
            .status
            .and_then(|status| status.pod_ip)
            .ok_or("status.podIP is missing")?;
        let number = match address.parse::<Ipv4Addr>().map(|ip| ip.octets()) {
            Ok([127, 1, 0, number]) if number < GATEWAY => number,
            _ => return Err("status.podIP is not 127.1.0.N with N below 20"),
        };
        let ports = container.ports.unwrap_or_default();
        let port = ports.first().map(|port| u16::try_from(port.container_port));
        Ok(Self {
            name: pod.metadata.name.ok_or("metadata.name is missing")?,
            service_account: spec
                .service_account_name
                .ok_or("spec.serviceAccountName is missing")?,
            labels: pod.metadata.labels.unwrap_or_default(),
            arguments: container.args.unwrap_or_default(),
            port: port
                .transpose()
                .map_err(|_| "containerPort is not a port")?,
            number,
        })
    }
}

/// Every Pod of a manifest.
pub(super) fn read(path: &Path) -> Result<Vec<Workload>, DemoError> {
    let invalid = |reason: String| DemoError::Manifest {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|source| DemoError::File {
        path: path.to_owned(),
        source,
    })?;
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| invalid(error.to_string()))?;
    documents
        .into_iter()
        .filter(|document| document.get("kind").is_some_and(|kind| kind == "Pod"))
        .map(|document| {
            let pod = Pod::deserialize(document).map_err(|error| invalid(error.to_string()))?;
            let name = pod.metadata.name.clone().unwrap_or_default();
            Workload::from_pod(pod).map_err(|reason| invalid(format!("Pod {name}: {reason}")))
        })
        .collect()
}

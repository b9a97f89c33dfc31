//! Kubernetes objects → facts.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{Pod, Service, ServicePort},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use weft_engine::documents::Protocol;

use super::{
    facts::{EndpointFacts, PodFacts, PortFacts, ServiceFacts, SliceFacts},
    labels::LabelStore,
};

/// Marks a pod as meshed where no sidecar container tells.
const INJECTED: &str = "weft.dev/injected";

/// Ports of the pod that its proxy leaves out: `9090,9100-9110`. The webhook let nothing else in.
const EXCLUDE_INBOUND_PORTS: &str = "weft.dev/exclude-inbound-ports";

/// The proxy's own port for metrics and probes, which it leaves out too.
const METRICS_PORT: u16 = 15020;

/// The sidecar's container name.
const PROXY_CONTAINER: &str = "weft-proxy";

pub(super) fn service(object: &Service, labels: &mut LabelStore) -> Option<ServiceFacts> {
    let spec = object.spec.as_ref()?;
    // A name for something outside: it has neither address nor endpoints of its own.
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let single = spec
        .cluster_ip
        .iter()
        .filter(|_| spec.cluster_ips.is_none());
    let mut ports: Vec<_> = spec
        .ports
        .iter()
        .flatten()
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(service_port)
        .collect();
    ports.sort_by_key(|port| port.port);
    Some(ServiceFacts {
        // `None` and "None" are no addresses, and so fall out.
        cluster_ips: spec
            .cluster_ips
            .iter()
            .flatten()
            .chain(single)
            .filter_map(|text| text.parse().ok())
            .collect(),
        ports,
        selector: spec
            .selector
            .as_ref()
            .map(|selector| labels.share(selector.clone())),
    })
}

fn service_port(port: &ServicePort) -> Option<PortFacts> {
    let number = u16::try_from(port.port).ok()?;
    Some(PortFacts {
        port: number,
        name: port.name.clone().filter(|name| !name.is_empty()),
        protocol: protocol(port.app_protocol.as_deref(), port.name.as_deref()),
        target: match &port.target_port {
            None => Some(number),
            // The API server writes 0 for "as the port".
            Some(IntOrString::Int(0)) => Some(number),
            Some(IntOrString::Int(target)) => u16::try_from(*target).ok(),
            Some(IntOrString::String(name)) => name.parse().ok(),
        },
    })
}

/// `appProtocol` (Kubernetes' own names included), else the port name's prefix.
pub(super) fn protocol(app_protocol: Option<&str>, name: Option<&str>) -> Protocol {
    let known = |text: &str| {
        Some(match text.to_ascii_lowercase().as_str() {
            "http" | "http1" | "http/1.1" | "ws" | "kubernetes.io/ws" => Protocol::Http,
            "http2" | "h2c" | "kubernetes.io/h2c" => Protocol::Http2,
            "grpc" | "grpc-web" => Protocol::Grpc,
            "https" | "tls" | "wss" | "kubernetes.io/wss" => Protocol::Tls,
            "tcp" | "mysql" | "mongo" | "redis" | "postgres" | "postgresql" | "smtp" | "kafka" => {
                Protocol::Tcp
            }
            _ => return None,
        })
    };
    app_protocol
        .and_then(known)
        .or_else(|| known(name?.split('-').next()?))
        .unwrap_or_default()
}

pub(super) fn slice(object: &EndpointSlice) -> Option<SliceFacts> {
    let service = object
        .metadata
        .labels
        .as_ref()?
        .get("kubernetes.io/service-name")?
        .clone();
    if object.address_type == "FQDN" {
        return None;
    }
    let ports = object
        .ports
        .iter()
        .flatten()
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(|port| {
            Some((
                port.name.clone().unwrap_or_default(),
                u16::try_from(port.port?).ok()?,
            ))
        })
        .collect();
    let mut zones = BTreeMap::<&str, Arc<str>>::new();
    let endpoints = object
        .endpoints
        .iter()
        .flatten()
        .filter_map(|endpoint| {
            // All addresses of an endpoint are the same pod; the first is the one to use.
            let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            Some(EndpointFacts {
                address,
                ready: conditions.ready.unwrap_or(true) && !conditions.terminating.unwrap_or(false),
                zone: endpoint
                    .zone
                    .as_deref()
                    .map(|zone| Arc::clone(zones.entry(zone).or_insert_with(|| Arc::from(zone)))),
                pod: endpoint
                    .target_ref
                    .as_ref()
                    .filter(|target| target.kind.as_deref().unwrap_or("Pod") == "Pod")
                    .and_then(|target| target.name.clone()),
            })
        })
        .collect();
    Some(SliceFacts {
        service,
        ipv6: object.address_type == "IPv6",
        ports,
        endpoints,
    })
}

pub(super) fn pod(object: &Pod, labels: &mut LabelStore) -> PodFacts {
    let annotated = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(INJECTED))
        .map(|value| value == "true");
    let spec = object.spec.as_ref();
    let sidecar = spec.is_some_and(|spec| {
        spec.containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
            .any(|container| container.name == PROXY_CONTAINER)
    });
    let status = object.status.as_ref();
    let many = status
        .into_iter()
        .flat_map(|status| status.pod_ips.iter().flatten())
        .map(|ip| &ip.ip);
    let one = status.and_then(|status| status.pod_ip.as_ref());
    let mut ips: Vec<IpAddr> = many.chain(one).filter_map(|ip| ip.parse().ok()).collect();
    ips.sort();
    ips.dedup();
    // A pod on the host's network shares the host's address with others: it cannot be known by
    // it. One that has ended keeps its address only in its status: another may have it by now.
    let phase = status.and_then(|status| status.phase.as_deref());
    if spec.and_then(|spec| spec.host_network) == Some(true)
        || matches!(phase, Some("Succeeded" | "Failed"))
    {
        ips.clear();
    }
    let meshed = annotated.unwrap_or(sidecar);
    PodFacts {
        labels: labels.share(object.metadata.labels.clone().unwrap_or_default()),
        service_account: spec
            .and_then(|spec| spec.service_account_name.clone())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned()),
        left_out: if meshed { left_out(object) } else { Vec::new() },
        meshed,
        ips,
        age: (object.metadata.creation_timestamp.as_ref()).map_or(0, |time| time.0.as_second()),
    }
}

/// What of the list cannot be read is passed over: no webhook would have let it in.
fn left_out(object: &Pod) -> Vec<(u16, u16)> {
    let annotations = object.metadata.annotations.as_ref();
    let listed = annotations
        .and_then(|annotations| annotations.get(EXCLUDE_INBOUND_PORTS))
        .map_or("", String::as_str);
    listed
        .split(',')
        .filter_map(|entry| {
            let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        })
        .chain([(METRICS_PORT, METRICS_PORT)])
        .collect()
}

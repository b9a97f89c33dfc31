use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Pod, Service},
    apimachinery::pkg::util::intstr::IntOrString,
};
use weft_engine::identity::Workload;

use crate::{Object, manifests::Location};

/// The meshed workloads behind each Service (`namespace/name`), with Service port → pod port; and
/// each meshed pod by its address.
pub type Servers = BTreeMap<String, Vec<(Workload, BTreeMap<u16, u16>)>>;

/// Set by the injector on a pod that has a proxy.
const INJECTED: &str = "weft.dev/injected";

/// Finds the meshed pods that each Service selects. Pods without a proxy are left out: nothing
/// decides on their side.
pub(super) fn servers(objects: &[(Object, Location)]) -> Servers {
    let services = objects.iter().filter_map(|(object, _)| match object {
        Object::Service(service) => Some(&**service),
        _ => None,
    });
    let pods = || {
        objects.iter().filter_map(|(object, _)| match object {
            Object::Pod(pod) => Some(&**pod),
            _ => None,
        })
    };
    let by_address = pods().filter(|pod| is_meshed(pod)).flat_map(|pod| {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let status = pod.status.as_ref();
        let addresses = status.and_then(|status| status.pod_ips.as_ref());
        let addresses = addresses.into_iter().flatten().map(|own| own.ip.clone());
        addresses.map(move |address| (address, vec![(workload(pod, namespace), BTreeMap::new())]))
    });
    services
        .map(|service| {
            let metadata = &service.metadata;
            let namespace = metadata.namespace.as_deref().unwrap_or("default");
            let behind = pods()
                .filter(|pod| is_meshed(pod) && is_behind(pod, service, namespace))
                .map(|pod| (workload(pod, namespace), target_ports(service, pod)))
                .collect();
            let name = metadata.name.as_deref().unwrap_or_default();
            (format!("{namespace}/{name}"), behind)
        })
        .chain(by_address)
        .collect()
}

fn is_meshed(pod: &Pod) -> bool {
    pod.metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(INJECTED))
        .is_some_and(|value| value == "true")
}

fn is_behind(pod: &Pod, service: &Service, namespace: &str) -> bool {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    pod.metadata.namespace.as_deref().unwrap_or("default") == namespace
        && selector.is_some_and(|selector| {
            let labels = pod.metadata.labels.as_ref();
            !selector.is_empty()
                && selector
                    .iter()
                    .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        })
}

fn workload(pod: &Pod, namespace: &str) -> Workload {
    Workload {
        namespace: namespace.to_owned(),
        service_account: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_else(|| "default".to_owned()),
        pod: pod.metadata.name.clone().unwrap_or_default(),
        labels: pod.metadata.labels.clone().unwrap_or_default(),
    }
}

/// Service port → pod port. A port whose named target the pod does not have is left out, as the
/// endpoint controller does.
fn target_ports(service: &Service, pod: &Pod) -> BTreeMap<u16, u16> {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let target = match &port.target_port {
                None => port.port,
                Some(IntOrString::Int(target)) => *target,
                Some(IntOrString::String(name)) => named_port(pod, name)?,
            };
            Some((u16::try_from(port.port).ok()?, u16::try_from(target).ok()?))
        })
        .collect()
}

fn named_port(pod: &Pod, name: &str) -> Option<i32> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .flat_map(|container| container.ports.iter().flatten())
        .find(|port| port.name.as_deref() == Some(name))
        .map(|port| port.container_port)
}

use json_patch::{
    AddOperation, Patch, PatchOperation, RemoveOperation,
    jsonptr::{PointerBuf, Token},
};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::{Map, Value, json};

use crate::{
    ADMIN_PORT, INBOUND_PORT, InjectError, METRICS_PORT, OUTBOUND_PORT, Outcome, PROXY_UID, Reason,
    Settings,
    annotations::{Annotations, Wishes, names},
    containers::{self, INIT, PROXY, VOLUMES},
    probes,
};

/// What a pod needs to be in the mesh. The patch is relative to the pod, and equally good for a
/// pod template. A pod that was patched is left alone when it is given again.
///
/// # Errors
/// Where the pod cannot be in the mesh as it is, and says nothing about staying outside.
pub fn inject(pod: &Pod, settings: &Settings) -> Result<Outcome, InjectError> {
    let Some(spec) = &pod.spec else {
        return Err(InjectError::Shape("the pod has no spec".to_owned()));
    };
    let annotations = Annotations(pod.metadata.annotations.as_ref());
    let label = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get(names::INJECT));
    // The label spares the webhook the question: it keeps such a pod startable without us.
    if label.is_some_and(|value| value == "disabled") {
        return Ok(Outcome::Left(Reason::OptedOut));
    }
    if let Some(reason) = stays_out(spec, &annotations)? {
        return Ok(Outcome::Left(reason));
    }
    let wishes = annotations.wishes()?;
    check(spec)?;
    let mut operations = Operations::default();
    let probes = if wishes.rewrite_probes {
        rewrite_probes(spec, &mut operations)
    } else {
        Map::new()
    };
    add_parts(pod, spec, settings, &wishes, &probes, &mut operations);
    Ok(Outcome::Patched(Patch(operations.0)))
}

fn stays_out(spec: &PodSpec, annotations: &Annotations<'_>) -> Result<Option<Reason>, InjectError> {
    let os = spec.os.as_ref().map(|os| os.name.as_str());
    Ok(if annotations.opts_out()? {
        Some(Reason::OptedOut)
    } else if all_containers(spec).any(|container| container.name == PROXY) {
        Some(Reason::HasProxy)
    } else if spec.host_network == Some(true) {
        Some(Reason::HostNetwork)
    } else if os.is_some_and(|name| name != "linux") {
        Some(Reason::NotLinux)
    } else {
        None
    })
}

fn all_containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
}

fn check(spec: &PodSpec) -> Result<(), InjectError> {
    let is_proxys = |uid: Option<i64>| uid == Some(i64::from(PROXY_UID));
    if is_proxys(spec.security_context.as_ref().and_then(|c| c.run_as_user)) {
        return Err(InjectError::ProxyUid {
            container: "the pod".to_owned(),
        });
    }
    let own_ports = [OUTBOUND_PORT, INBOUND_PORT, METRICS_PORT, ADMIN_PORT];
    for container in all_containers(spec) {
        let context = container.security_context.as_ref();
        if is_proxys(context.and_then(|c| c.run_as_user)) {
            return Err(InjectError::ProxyUid {
                container: format!("container {}", container.name),
            });
        }
        if container.name == INIT {
            return Err(InjectError::NameTaken {
                kind: "container",
                name: INIT.to_owned(),
            });
        }
        let taken = own_ports.into_iter().find(|own| {
            let ports = container.ports.iter().flatten();
            ports
                .into_iter()
                .any(|port| port.container_port == i32::from(*own))
        });
        if let Some(port) = taken {
            return Err(InjectError::PortTaken {
                container: container.name.clone(),
                port,
            });
        }
    }
    let mut volumes = spec.volumes.iter().flatten();
    match volumes.find(|volume| VOLUMES.contains(&volume.name.as_str())) {
        Some(volume) => Err(InjectError::NameTaken {
            kind: "volume",
            name: volume.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Sends the probes of containers and of other sidecars through the proxy; gives what the proxy
/// is to ask. A plain init container has none.
fn rewrite_probes(spec: &PodSpec, operations: &mut Operations) -> Map<String, Value> {
    let sidecars = spec.init_containers.iter().flatten().enumerate();
    let containers = spec.containers.iter().enumerate();
    let all = sidecars
        .map(|(index, container)| ("initContainers", index, container))
        .chain(containers.map(|(index, container)| ("containers", index, container)));
    let mut asks = Map::new();
    for (list, index, container) in all {
        for probe in probes::rewrite(container) {
            let index = index.to_string();
            let at = |last| ["spec", list, &index, probe.field, last].map(str::to_owned);
            if probe.handler != "httpGet" {
                operations.remove(at(probe.handler));
            }
            operations.add(at("httpGet"), probe.http_get);
            asks.insert(probe.path, probe.ask);
        }
    }
    asks
}

fn add_parts(
    pod: &Pod,
    spec: &PodSpec,
    settings: &Settings,
    wishes: &Wishes,
    probes: &Map<String, Value>,
    operations: &mut Operations,
) {
    let service_account = spec
        .service_account_name
        .as_deref()
        .or(spec.service_account.as_deref())
        .filter(|name| !name.is_empty())
        .unwrap_or("default");
    let grace = spec.termination_grace_period_seconds.unwrap_or(30);
    // First of all: what else is initialised has the mesh already.
    let parts = [
        containers::init(settings, wishes),
        containers::proxy(settings, wishes, probes, grace),
    ];
    if spec.init_containers.is_none() {
        operations.add(["spec", "initContainers"], json!([]));
    }
    for (index, part) in parts.into_iter().enumerate() {
        operations.add(["spec", "initContainers", &index.to_string()], part);
    }
    if spec.volumes.is_none() {
        operations.add(["spec", "volumes"], json!([]));
    }
    for volume in containers::volumes(service_account) {
        operations.add(["spec", "volumes", "-"], volume);
    }
    if pod.metadata.annotations.is_none() {
        operations.add(["metadata", "annotations"], json!({}));
    }
    operations.add(["metadata", "annotations", names::INJECTED], json!("true"));
}

#[derive(Default)]
struct Operations(Vec<PatchOperation>);

impl Operations {
    fn add<S: AsRef<str>>(&mut self, path: impl IntoIterator<Item = S>, value: Value) {
        let path = pointer(path);
        self.0
            .push(PatchOperation::Add(AddOperation { path, value }));
    }

    fn remove<S: AsRef<str>>(&mut self, path: impl IntoIterator<Item = S>) {
        let path = pointer(path);
        self.0
            .push(PatchOperation::Remove(RemoveOperation { path }));
    }
}

fn pointer<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> PointerBuf {
    let mut pointer = PointerBuf::new();
    for part in path {
        pointer.push_back(Token::new(part.as_ref()));
    }
    pointer
}

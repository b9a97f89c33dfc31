use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::{Value, json};

use crate::METRICS_PORT;

/// A probe that goes through the proxy: the kubelet has no identity, so under Strict mTLS the
/// application's own port would refuse it.
pub(crate) struct Rewritten {
    /// Where in the container: `livenessProbe`, …
    pub(crate) field: &'static str,
    /// The handler that is replaced: `httpGet`, `tcpSocket` or `grpc`.
    pub(crate) handler: &'static str,
    /// The `httpGet` that takes its place.
    pub(crate) http_get: Value,
    /// The path below `/app-health/`.
    pub(crate) path: String,
    /// What the proxy asks the application: a probe as Kubernetes writes it, with its port as a
    /// number.
    pub(crate) ask: Value,
}

/// Every probe of a container that can go through the proxy. One that runs a command, or asks
/// another host, stays as it is.
pub(crate) fn rewrite(container: &Container) -> Vec<Rewritten> {
    let probes = [
        ("livenessProbe", "liveness", &container.liveness_probe),
        ("readinessProbe", "readiness", &container.readiness_probe),
        ("startupProbe", "startup", &container.startup_probe),
    ];
    probes
        .into_iter()
        .filter_map(|(field, kind, probe)| {
            let path = format!("{}/{kind}", container.name);
            rewrite_one(field, path, probe.as_ref()?, container)
        })
        .collect()
}

fn rewrite_one(
    field: &'static str,
    path: String,
    probe: &Probe,
    container: &Container,
) -> Option<Rewritten> {
    let is_here = |host: &Option<String>| host.as_deref().is_none_or(str::is_empty);
    let (handler, handled) = if let Some(get) = &probe.http_get {
        let mut ask = json!({
            "path": get.path.as_deref().unwrap_or("/"),
            "port": number(&get.port, container)?,
            "scheme": get.scheme.as_deref().unwrap_or("HTTP"),
        });
        if let (Some(headers), Some(ask)) = (&get.http_headers, ask.as_object_mut()) {
            let headers: Vec<_> = headers
                .iter()
                .map(|header| json!({"name": header.name, "value": header.value}))
                .collect();
            ask.insert("httpHeaders".to_owned(), Value::Array(headers));
        }
        is_here(&get.host).then_some(("httpGet", ask))?
    } else if let Some(socket) = &probe.tcp_socket {
        let ask = json!({"port": number(&socket.port, container)?});
        is_here(&socket.host).then_some(("tcpSocket", ask))?
    } else if let Some(grpc) = &probe.grpc {
        let ask = json!({"port": grpc.port, "service": grpc.service.as_deref().unwrap_or("")});
        ("grpc", ask)
    } else {
        return None;
    };
    let mut ask = BTreeMap::from([(handler, handled)]);
    ask.insert(
        "timeoutSeconds",
        json!(probe.timeout_seconds.unwrap_or(1).max(1)),
    );
    Some(Rewritten {
        field,
        handler,
        http_get: json!({
            "path": format!("/app-health/{path}"),
            "port": METRICS_PORT,
            "scheme": "HTTP",
        }),
        path,
        ask: json!(ask),
    })
}

/// A port's number, looked up where it is a name.
fn number(port: &IntOrString, container: &Container) -> Option<i32> {
    match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_ref() == Some(name))
            .map(|port| port.container_port)
            .or_else(|| name.parse().ok()),
    }
}

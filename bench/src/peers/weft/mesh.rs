//! The mesh of a measurement: a caller, services with a proxy, the same backends without one.

use std::{fmt::Write, net::SocketAddr};

use super::{POD, Spoken, gateways::gateways};
use crate::{BenchError, backend::Backend, running::free};

/// The namespace of everything here.
pub(crate) const NAMESPACE: &str = "bench";

/// A port of the services here: of `server-NAME`, which has a proxy, and of `origin-NAME`, which
/// has none.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// What both names end in.
    pub(crate) name: &'static str,
    /// The services' port.
    pub(crate) port: u16,
    /// Its appProtocol.
    protocol: &'static str,
    /// Where the pod's proxy listens.
    pub(crate) pod: SocketAddr,
    /// The backend's addresses.
    pub(crate) backend: Vec<SocketAddr>,
}

/// All of them, and how they are called.
#[derive(Clone, Debug)]
pub(crate) struct Mesh {
    /// In the order of [`Spoken`].
    ports: Vec<Port>,
    /// Whether plaintext is taken too.
    permissive: bool,
}

impl Mesh {
    /// Services before `backend`, with ports of the pod's that nothing listens on now.
    pub(crate) fn of(backend: &Backend, permissive: bool) -> Result<Self, BenchError> {
        let ports = Spoken::ALL.iter().zip(80..).map(|(spoken, port)| {
            let (name, protocol, backend) = match spoken {
                Spoken::Http1 => ("http", "http", vec![backend.plain]),
                Spoken::Http2 => ("h2", "kubernetes.io/h2c", vec![backend.http2]),
                Spoken::Tcp => ("tcp", "tcp", vec![backend.plain]),
                Spoken::Grpc => ("grpc", "grpc", vec![backend.grpc]),
                Spoken::WebSocket => ("ws", "kubernetes.io/ws", vec![backend.websocket]),
                Spoken::Bulk => ("bulk", "tcp", vec![backend.bulk]),
                Spoken::Tls => ("tls", "http", vec![backend.plain]),
                Spoken::Many => ("many", "http", backend.many()),
            };
            Ok(Port {
                name,
                port,
                protocol,
                pod: SocketAddr::new(POD, free()?.port()),
                backend,
            })
        });
        Ok(Self {
            ports: ports.collect::<Result<_, BenchError>>()?,
            permissive,
        })
    }

    /// The port that is called to speak that.
    pub(crate) fn port(&self, spoken: Spoken) -> Result<&Port, BenchError> {
        let at = Spoken::ALL.iter().position(|other| *other == spoken);
        at.and_then(|at| self.ports.get(at))
            .ok_or_else(|| BenchError::Manifest(format!("no service speaks {spoken:?}")))
    }

    /// All of it as YAML.
    pub(crate) fn manifests(&self) -> String {
        let mode = if self.permissive {
            "Permissive"
        } else {
            "Strict"
        };
        let mut yaml = format!(
            "apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}, labels: {{weft.dev/inject: enabled}}}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: all, namespace: {NAMESPACE}}}
spec:
  targetRefs: [{{kind: Namespace, name: {NAMESPACE}}}]
  mtls: {{mode: {mode}}}
  outlierDetection: {{consecutive5xx: 5, baseEjectionTime: 10s, maxEjectionPercent: 50}}
  retryBudget: {{percent: 20, minPerSecond: 10}}
"
        );
        for account in ["client", "server", "gateway"] {
            let _ = write!(
                yaml,
                "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {account}, namespace: {NAMESPACE}}}\n"
            );
        }
        // The pod, and the same backend beside the mesh.
        let _ = write!(
            yaml,
            "---
apiVersion: v1
kind: Pod
metadata:
  name: server-1
  namespace: {NAMESPACE}
  labels: {{app: server}}
  annotations: {{weft.dev/injected: \"true\"}}
spec:
  serviceAccountName: server
  containers: [{{name: app, image: app}}]
status: {{phase: Running, podIP: {POD}}}
"
        );
        let pod = format!("targetRef: {{kind: Pod, namespace: {NAMESPACE}, name: server-1}}");
        for port in &self.ports {
            let (number, protocol) = (port.port, port.protocol);
            for (side, addresses, pod) in [
                ("server", &vec![port.pod], Some(pod.as_str())),
                ("origin", &port.backend, None),
            ] {
                let name = format!("{side}-{}", port.name);
                service(&mut yaml, &name, number, protocol, addresses, pod);
                if protocol != "tcp" {
                    // A stream has no time within which it ends.
                    let is_bounded = matches!(port.name, "http" | "h2" | "many" | "tls");
                    yaml += &route(&name, number, is_bounded);
                }
            }
        }
        yaml += &self.policies();
        yaml += &gateways();
        yaml
    }

    /// Who may call the pod: a policy that looks at requests, and one of bytes, of which there is
    /// nothing to look at.
    fn policies(&self) -> String {
        let (bytes, requests): (Vec<&Port>, Vec<&Port>) =
            self.ports.iter().partition(|port| port.protocol == "tcp");
        let targets = |ports: &[&Port]| {
            let target = |port: &&Port| format!("{{kind: Service, name: server-{}}}", port.name);
            ports.iter().map(target).collect::<Vec<_>>().join(", ")
        };
        let numbers = |ports: &[&Port]| {
            let number = |port: &&Port| port.pod.port().to_string();
            ports.iter().map(number).collect::<Vec<_>>().join(", ")
        };
        let policy = |name: &str, ports: &[&Port], action: &str, to: String| {
            format!(
                "---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  targetRefs: [{}]
  action: {action}
  rules: [{{name: all, to: [{{{to}}}]}}]
",
                targets(ports)
            )
        };
        let methods = "methods: [GET, HEAD, POST], paths: [/*]".to_owned();
        let internal = format!("paths: [/internal/*], ports: [{}]", numbers(&requests));
        policy("callers", &requests, "Allow", methods)
            + &policy("internals", &requests, "Deny", internal)
            + &policy(
                "bytes",
                &bytes,
                "Allow",
                format!("ports: [{}]", numbers(&bytes)),
            )
    }
}

/// `pod`: the targetRef of every endpoint.
fn service(
    yaml: &mut String,
    name: &str,
    port: u16,
    protocol: &str,
    endpoints: &[SocketAddr],
    pod: Option<&str>,
) {
    let selector = if pod.is_some() {
        "\n  selector: {app: server}"
    } else {
        ""
    };
    let target = pod.map(|pod| format!(", {pod}")).unwrap_or_default();
    let target_port = endpoints.first().map_or(0, SocketAddr::port);
    let _ = write!(
        yaml,
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:{selector}
  ports: [{{name: main, port: {port}, targetPort: {target_port}, appProtocol: {protocol}}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: {NAMESPACE}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
ports: [{{name: main, port: {target_port}, protocol: TCP}}]
endpoints:
"
    );
    for endpoint in endpoints {
        let _ = writeln!(
            yaml,
            "- {{addresses: [{}], conditions: {{ready: true}}{target}}}",
            endpoint.ip()
        );
    }
}

/// A route as people have them: a header decides, a path decides, and the rest; with retries and,
/// if it `is_bounded`, a time-out.
fn route(service: &str, port: u16, is_bounded: bool) -> String {
    let timeouts = if is_bounded {
        "\n    timeouts: {request: 30s}"
    } else {
        ""
    };
    format!(
        "---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: {service}, namespace: {NAMESPACE}}}
spec:
  parentRefs: [{{kind: Service, name: {service}, port: {port}}}]
  http:
  - name: beta
    matches: [{{headers: [{{name: x-group, type: Exact, value: beta}}]}}]
    backendRefs: [{{name: {service}, port: {port}}}]
  - name: old
    matches: [{{path: {{type: Prefix, value: /old}}}}]
    redirect: {{statusCode: 301, path: {{type: ReplaceFull, value: /}}}}
  - name: rest{timeouts}
    retry: {{attempts: 2, retryOn: [connect-failure, reset-before-response, \"503\"]}}
    backendRefs: [{{name: {service}, port: {port}}}]
"
    )
}

/// The service that changes.
pub(crate) fn changing(backend: SocketAddr) -> String {
    let mut yaml = String::new();
    service(&mut yaml, "changing", 80, "http", &[backend], None);
    yaml
}

/// Its route.
pub(crate) fn changing_route(edition: u32) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: changing, namespace: {NAMESPACE}}}
spec:
  parentRefs: [{{kind: Service, name: changing, port: 80}}]
  http:
  - name: beta
    matches: [{{headers: [{{name: x-group, type: Exact, value: beta}}]}}]
    backendRefs: [{{name: changing, port: 80}}]
  - name: rest
    responseHeaders: {{set: {{x-edition: \"{edition}\"}}}}
    retry: {{attempts: 1, retryOn: [connect-failure]}}
    backendRefs: [{{name: changing, port: 80}}]
"
    )
}

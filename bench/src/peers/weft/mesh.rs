//! The mesh of a measurement: a caller, a service with a proxy, the same backend without one, and
//! two gateways: one with nothing on, one with everything.

use std::{fmt::Write, net::SocketAddr};

/// The namespace of everything here.
pub(crate) const NAMESPACE: &str = "bench";

/// Routes of the gateway that has everything on.
const ROUTES: usize = 100;

/// Its AuthPolicies.
const POLICIES: usize = 10;

/// Where things listen. The pod's own ports are those of its proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mesh {
    /// The backend's HTTP/1.1 address.
    pub(crate) backend: SocketAddr,
    /// Its HTTP/2 address.
    pub(crate) backend_http2: SocketAddr,
    /// The pod's proxy: HTTP/1.1.
    pub(crate) http: SocketAddr,
    /// The pod's proxy: HTTP/2.
    pub(crate) http2: SocketAddr,
    /// The pod's proxy: bytes.
    pub(crate) tcp: SocketAddr,
    /// Whether plaintext is taken too.
    pub(crate) permissive: bool,
}

impl Mesh {
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
status: {{phase: Running, podIP: {}}}
",
            self.http.ip()
        );
        let pod = format!("targetRef: {{kind: Pod, namespace: {NAMESPACE}, name: server-1}}");
        let ports = [
            ("http", 80, "http", self.http, self.backend),
            (
                "h2",
                81,
                "kubernetes.io/h2c",
                self.http2,
                self.backend_http2,
            ),
            ("tcp", 82, "tcp", self.tcp, self.backend),
        ];
        for (name, port, protocol, inbound, backend) in ports {
            service(
                &mut yaml,
                &format!("server-{name}"),
                port,
                protocol,
                inbound,
                Some(&pod),
            );
            service(
                &mut yaml,
                &format!("origin-{name}"),
                port,
                protocol,
                backend,
                None,
            );
        }
        for name in ["server-http", "origin-http"] {
            let _ = write!(yaml, "{}", route(name, 80));
        }
        let _ = write!(
            yaml,
            "---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: callers, namespace: {NAMESPACE}}}
spec:
  targetRefs: [{{kind: Service, name: server-http}}]
  action: Allow
  rules:
  - name: anyone
    to: [{{methods: [GET, HEAD, POST], paths: [/*]}}]
  - name: bytes
    to: [{{ports: [{}]}}]
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: internals, namespace: {NAMESPACE}}}
spec:
  targetRefs: [{{kind: Service, name: server-http}}]
  action: Deny
  rules:
  - name: internal
    to: [{{paths: [/internal/*], ports: [{}, {}]}}]
",
            self.tcp.port(),
            self.http.port(),
            self.http2.port(),
        );
        yaml += &gateways();
        yaml
    }
}

fn service(
    yaml: &mut String,
    name: &str,
    port: u16,
    protocol: &str,
    endpoint: SocketAddr,
    pod: Option<&str>,
) {
    let selector = if pod.is_some() {
        "\n  selector: {app: server}"
    } else {
        ""
    };
    let target = pod.map(|pod| format!(", {pod}")).unwrap_or_default();
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
- {{addresses: [{ip}], conditions: {{ready: true}}{target}}}
",
        target_port = endpoint.port(),
        ip = endpoint.ip(),
    );
}

/// A route as people have them: a header decides, a path decides, and the rest; with time-out
/// and retries.
fn route(service: &str, port: u16) -> String {
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
  - name: rest
    timeouts: {{request: 30s}}
    retry: {{attempts: 2, retryOn: [connect-failure, reset-before-response, \"503\"]}}
    backendRefs: [{{name: {service}, port: {port}}}]
"
    )
}

fn gateways() -> String {
    let mut yaml = String::new();
    for name in ["bare", "full"] {
        let _ = write!(
            yaml,
            "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  gatewayClassName: weft
  listeners: [{{name: http, port: 8080, protocol: HTTP}}]
"
        );
    }
    let parent = |name: &str| {
        format!(
            "[{{group: gateway.networking.k8s.io, kind: Gateway, name: {name}, sectionName: http}}]"
        )
    };
    let _ = write!(
        yaml,
        "---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: bare, namespace: {NAMESPACE}}}
spec:
  parentRefs: {}
  http:
  - name: all
    backendRefs: [{{name: origin-http, port: 80}}]
",
        parent("bare")
    );
    for number in 0..ROUTES {
        // The request of the measurement, to /, is the last one's: it has the least specific match.
        let path = if number + 1 == ROUTES {
            "/".to_owned()
        } else {
            format!("/team-{number}/api")
        };
        let _ = write!(
            yaml,
            "---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: full-{number:03}, namespace: {NAMESPACE}}}
spec:
  parentRefs: {}
  http:
  - name: canary
    matches:
    - path: {{type: Prefix, value: {path}}}
      headers: [{{name: x-canary, type: Exact, value: \"yes\"}}]
    backendRefs: [{{name: origin-http, port: 80}}]
  - name: main
    matches: [{{path: {{type: Prefix, value: {path}}}}}]
    timeouts: {{request: 30s}}
    retry: {{attempts: 2, retryOn: [connect-failure, reset-before-response, \"503\"]}}
    responseHeaders: {{set: {{x-served-by: bench}}}}
    backendRefs: [{{name: origin-http, port: 80}}]
",
            parent("full")
        );
    }
    for number in 0..POLICIES {
        let (action, path) = if number == 0 {
            ("Allow", "/*".to_owned())
        } else {
            ("Deny", format!("/team-{number}/internal/*"))
        };
        let _ = write!(
            yaml,
            "---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: full-{number}, namespace: {NAMESPACE}}}
spec:
  targetRefs: [{{kind: Gateway, name: full}}]
  action: {action}
  rules:
  - name: methods
    to: [{{methods: [GET, HEAD], paths: [\"{path}\"]}}]
  - name: others
    to: [{{methods: [DELETE], paths: [\"/admin-{number}/*\"]}}]
"
        );
    }
    yaml
}

/// The service that changes.
pub(crate) fn changing(backend: SocketAddr) -> String {
    let mut yaml = String::new();
    service(&mut yaml, "changing", 80, "http", backend, None);
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

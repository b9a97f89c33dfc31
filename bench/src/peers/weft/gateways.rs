//! Gateways: one with nothing on, one with everything, and one that ends TLS.

use std::fmt::Write;

use super::mesh::NAMESPACE;

/// Routes of the gateway that has everything on.
const ROUTES: usize = 100;

/// Its AuthPolicies.
const POLICIES: usize = 10;

/// All three.
pub(super) fn gateways() -> String {
    let mut yaml = String::new();
    for (name, protocol) in [("bare", "HTTP"), ("full", "HTTP"), ("tls", "HTTPS")] {
        let _ = write!(
            yaml,
            "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  gatewayClassName: weft
  listeners: [{{name: main, port: 8080, protocol: {protocol}}}]
"
        );
    }
    let parent = |name: &str| {
        format!(
            "[{{group: gateway.networking.k8s.io, kind: Gateway, name: {name}, sectionName: main}}]"
        )
    };
    for (name, service, port) in [("bare", "origin-http", 80), ("tls", "server-tls", 86)] {
        let _ = write!(
            yaml,
            "---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  parentRefs: {}
  http:
  - name: all
    backendRefs: [{{name: {service}, port: {port}}}]
",
            parent(name)
        );
    }
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

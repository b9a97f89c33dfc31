//! Manifests of a mesh of any size: per service a ServiceAccount, a Service, its pods, an
//! EndpointSlice and a VirtualRoute; per namespace a MeshPolicy and an AuthPolicy.

use std::{fmt::Write, fs, path::Path};

use crate::BenchError;

/// Services that share a namespace.
const PER_NAMESPACE: usize = 100;

/// How large the mesh is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Services.
    pub services: usize,
    /// Pods of each.
    pub endpoints: usize,
}

/// The namespace of a service.
pub fn namespace(service: usize) -> String {
    format!("team-{:03}", service / PER_NAMESPACE)
}

/// The name of a service.
pub fn name(service: usize) -> String {
    format!("svc-{service:05}")
}

/// The file, below the manifests' folder, that holds a service and its route.
pub fn file(service: usize) -> String {
    format!("{}-{}.yaml", namespace(service), name(service))
}

/// The YAML of one service. `edition` changes its route and nothing else.
pub fn service(size: Size, service: usize, edition: u32) -> String {
    let (namespace, name) = (namespace(service), name(service));
    let mut yaml = route(service, edition);
    let _ = write!(
        yaml,
        "---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: 10.{}.{}.{}
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: 8080, appProtocol: http}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
ports: [{{name: http, port: 8080, protocol: TCP}}]
endpoints:
",
        96 + (service >> 16),
        (service >> 8) & 255,
        service & 255,
    );
    for endpoint in 0..size.endpoints {
        let _ = writeln!(
            yaml,
            "- {{addresses: [{}], conditions: {{ready: true}}, \
             targetRef: {{kind: Pod, namespace: {namespace}, name: {name}-{endpoint}}}}}",
            address(size, service, endpoint),
        );
    }
    for endpoint in 0..size.endpoints {
        let version = if endpoint % 2 == 0 { "v1" } else { "v2" };
        let _ = write!(
            yaml,
            "---
apiVersion: v1
kind: Pod
metadata:
  name: {name}-{endpoint}
  namespace: {namespace}
  labels: {{app: {name}, version: {version}}}
  annotations: {{weft.dev/injected: \"true\"}}
spec:
  serviceAccountName: {name}
  containers: [{{name: app, image: app, ports: [{{containerPort: 8080}}]}}]
status: {{phase: Running, podIP: {}}}
",
            address(size, service, endpoint),
        );
    }
    yaml
}

/// The YAML of a service's route alone.
pub fn route(service: usize, edition: u32) -> String {
    let (namespace, name) = (namespace(service), name(service));
    format!(
        "apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: {name}, namespace: {namespace}, generation: {}}}
spec:
  parentRefs: [{{kind: Service, name: {name}, port: 80}}]
  http:
  - name: canary
    matches:
    - headers: [{{name: x-group, type: Exact, value: beta}}]
    backendRefs: [{{name: {name}, port: 80, labels: {{version: v2}}}}]
  - name: split
    responseHeaders: {{set: {{x-edition: \"{edition}\"}}}}
    retry: {{attempts: 1, retryOn: [connect-failure]}}
    backendRefs:
    - {{name: {name}, port: 80, weight: 90, labels: {{version: v1}}}}
    - {{name: {name}, port: 80, weight: 10, labels: {{version: v2}}}}
",
        u64::from(edition) + 1,
    )
}

/// The YAML of every namespace with its policies, and of the mesh's own.
pub fn namespaces(size: Size) -> String {
    // What speaks for the whole mesh must not make one service's change dearer.
    let mut yaml = "apiVersion: v1
kind: Namespace
metadata: {name: weft-system}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: mesh, namespace: weft-system}
spec:
  targetRefs: [{kind: Mesh}]
  mtls: {mode: Strict}
  timeouts: {idle: 4m}
"
    .to_owned();
    for first in (0..size.services).step_by(PER_NAMESPACE) {
        let namespace = namespace(first);
        let _ = write!(
            yaml,
            "---
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}, labels: {{weft.dev/inject: enabled}}}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: strict, namespace: {namespace}}}
spec:
  targetRefs: [{{kind: Namespace, name: {namespace}}}]
  mtls: {{mode: Strict}}
  outlierDetection: {{consecutive5xx: 5}}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: own-team, namespace: {namespace}}}
spec:
  targetRefs: [{{kind: Namespace, name: {namespace}}}]
  action: Allow
  rules:
  - name: team
    from: [{{namespaces: [{namespace}]}}]
"
        );
    }
    yaml
}

/// Writes the whole mesh below `folder`, which must exist: a file per service.
pub fn write(size: Size, folder: &Path) -> Result<(), BenchError> {
    let put = |name: String, yaml: String| {
        let path = folder.join(name);
        fs::write(&path, yaml).map_err(BenchError::file(path))
    };
    put("namespaces.yaml".to_owned(), namespaces(size))?;
    for index in 0..size.services {
        put(file(index), service(size, index, 0))?;
    }
    Ok(())
}

/// Loopback addresses on which nothing listens.
fn address(size: Size, service: usize, endpoint: usize) -> String {
    let number = service * size.endpoints + endpoint;
    format!(
        "127.{}.{}.{}",
        64 + (number >> 16),
        (number >> 8) & 255,
        number & 255
    )
}

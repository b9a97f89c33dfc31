//! Objects for tests, from YAML as users write it.

use weft_engine::{
    documents::{Document, DocumentName},
    problem::Problem,
};

use crate::{
    Settings, World,
    lower::{Lowered, lower_all},
    manifests,
    object::Object,
};

/// The objects of a YAML text; refused ones included, anything else wrong is a failure.
pub(crate) fn objects(yaml: &str) -> Vec<Object> {
    let parsed = manifests::parse(yaml, "test.yaml");
    assert!(!parsed.incomplete, "{:#?}", parsed.problems);
    parsed
        .objects
        .into_iter()
        .map(|(object, _)| object)
        .collect()
}

/// The one object of a YAML text.
pub(crate) fn object(yaml: &str) -> Object {
    let [object] = <[Object; 1]>::try_from(objects(yaml)).expect("one object");
    object
}

/// A World with these objects.
pub(crate) fn world(yaml: &str) -> World {
    let mut world = World::new(Settings::default());
    for object in objects(yaml) {
        world.apply(object);
    }
    world
}

/// A document of a World, by name.
pub(crate) fn document(world: &World, name: &str) -> Option<Document> {
    let name: DocumentName = name.parse().unwrap();
    let found = lower_all(world).documents;
    found
        .into_iter()
        .find_map(|(of, document)| (of == name).then_some(document))
}

/// Problems, as `Code object field`.
pub(crate) fn codes(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| format!("{:?} {} {}", problem.code, problem.object, problem.field))
        .collect()
}

/// What is wrong in a World.
pub(crate) fn problems(world: &World) -> Vec<String> {
    let Lowered { problems, .. } = lower_all(world);
    codes(&problems)
}

/// A Service with its slice and two meshed pods of the service account of its name.
pub(crate) fn service(namespace: &str, name: &str, port_name: &str, octet: u8) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: 10.96.0.{octet}
  selector: {{app: {name}}}
  ports: [{{name: {port_name}, port: 80, targetPort: 8080}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
ports: [{{name: {port_name}, port: 8080}}]
endpoints:
- addresses: [10.0.{octet}.1]
  targetRef: {{kind: Pod, name: {name}-1}}
- addresses: [10.0.{octet}.2]
  conditions: {{ready: false}}
  zone: eu-1a
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-1, namespace: {namespace}, labels: {{app: {name}, version: v1}}, annotations: {{weft.dev/injected: \"true\"}}}}
spec: {{serviceAccountName: {name}, containers: [{{name: app}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-2, namespace: {namespace}, labels: {{app: {name}, version: v2}}}}
spec: {{serviceAccountName: {name}, containers: [{{name: app}}, {{name: weft-proxy}}]}}
status: {{podIP: 10.0.{octet}.2}}
---
"
    )
}

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::{
    BenchError,
    manifests::{name, namespace},
};

/// Pods of each service.
pub(super) const ENDPOINTS: usize = 5;

/// One service in so many has a route of its own.
pub(super) const ROUTE_EVERY: usize = 10;

/// Requests at the same time.
const CONCURRENCY: usize = 64;

/// Services whose pods are written together.
const BATCH: usize = 100;

/// The mesh: a hundred services to a namespace, each with its EndpointSlice and pods; one in ten
/// with a VirtualRoute; a MeshPolicy and an AuthPolicy in every namespace.
pub(super) struct Mesh<'s> {
    stage: &'s Stage,
    services: usize,
    /// Those whose first endpoint is unready.
    unready: HashSet<usize>,
}

impl<'s> Mesh<'s> {
    /// Without services; what speaks for the whole mesh is there.
    pub(super) async fn new(stage: &'s Stage) -> Result<Self, BenchError> {
        let policy = own(
            "MeshPolicy",
            "mesh",
            &json!({
                "targetRefs": [{"kind": "Mesh"}],
                "mtls": {"mode": "Strict"},
                "timeouts": {"idle": "4m"},
            }),
        );
        stage
            .requests
            .create(&weft("weft-system", "meshpolicies"), &policy)
            .await?;
        Ok(Self {
            stage,
            services: 0,
            unready: HashSet::new(),
        })
    }

    /// Services that exist.
    pub(super) fn services(&self) -> usize {
        self.services
    }

    /// Whether the first endpoint of a service is to be ready next: it was not.
    pub(super) fn flip(&mut self, index: usize) -> bool {
        let was_unready = self.unready.remove(&index);
        if !was_unready {
            self.unready.insert(index);
        }
        was_unready
    }

    /// Routes that exist.
    pub(super) fn routes(&self) -> usize {
        self.services.div_ceil(ROUTE_EVERY)
    }

    /// Makes the services that are missing.
    pub(super) async fn grow(&mut self, to: usize) -> Result<(), BenchError> {
        let from = self.services;
        let mut namespaces: Vec<String> = (from..to).map(namespace).collect();
        namespaces.dedup();
        if from > 0 {
            let last = namespace(from - 1);
            namespaces.retain(|namespace| *namespace != last);
        }
        stream::iter(namespaces)
            .map(|namespace| self.namespace(namespace))
            .buffer_unordered(8)
            .try_collect::<()>()
            .await?;
        let batches: Vec<_> = (from..to).step_by(BATCH).collect();
        stream::iter(batches)
            .map(async |first| {
                let pods: Vec<_> = (first..to.min(first + BATCH)).flat_map(pods).collect();
                self.stage.store.put(&pods).await
            })
            .buffer_unordered(4)
            .try_collect::<()>()
            .await?;
        stream::iter(from..to)
            .map(|service| self.service(service))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        self.services = to;
        Ok(())
    }

    async fn namespace(&self, namespace: String) -> Result<(), BenchError> {
        self.stage.namespace(&namespace).await?;
        let target = json!([{"kind": "Namespace", "name": namespace}]);
        let strict = own(
            "MeshPolicy",
            "strict",
            &json!({
                "targetRefs": target,
                "mtls": {"mode": "Strict"},
                "outlierDetection": {"consecutive5xx": 5},
            }),
        );
        let team = own(
            "AuthPolicy",
            "own-team",
            &json!({
                "targetRefs": target,
                "action": "Allow",
                "rules": [{"name": "team", "from": [{"namespaces": [namespace]}]}],
            }),
        );
        let requests = &self.stage.requests;
        requests
            .create(&weft(&namespace, "meshpolicies"), &strict)
            .await?;
        requests
            .create(&weft(&namespace, "authpolicies"), &team)
            .await
    }

    async fn service(&self, index: usize) -> Result<(), BenchError> {
        let (namespace, name) = (namespace(index), name(index));
        let requests = &self.stage.requests;
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name},
                "ports": [{"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "http"}]},
        });
        requests
            .create(
                &format!("/api/v1/namespaces/{namespace}/services"),
                &service,
            )
            .await?;
        let endpoints: Vec<Value> = (0..ENDPOINTS)
            .map(|endpoint| {
                json!({"addresses": [address(index, endpoint)], "conditions": {"ready": true},
                    "targetRef": {"kind": "Pod", "namespace": namespace,
                        "name": format!("{name}-{endpoint}")}})
            })
            .collect();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("{name}-1"),
                "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints,
        });
        requests.create(&slices(&namespace), &slice).await?;
        if index.is_multiple_of(ROUTE_EVERY) {
            let route = own("VirtualRoute", &name, &route(index, "0"));
            requests
                .create(&weft(&namespace, "virtualroutes"), &route)
                .await?;
        }
        Ok(())
    }
}

/// The spec of a service's route: of `edition` is what it answers itself to whoever asks for it.
pub(super) fn route(index: usize, edition: &str) -> Value {
    let name = name(index);
    json!({
        "parentRefs": [{"kind": "Service", "name": name, "port": 80}],
        "http": [
            {"name": "edition",
                "matches": [{"path": {"type": "Exact", "value": "/edition"}}],
                "directResponse": {"statusCode": 200, "body": edition}},
            {"name": "canary",
                "matches": [{"headers": [{"name": "x-group", "type": "Exact", "value": "beta"}]}],
                "backendRefs": [{"name": name, "port": 80, "labels": {"version": "v2"}}]},
            {"name": "split",
                "retry": {"attempts": 1, "retryOn": ["connect-failure"]},
                "backendRefs": [
                    {"name": name, "port": 80, "weight": 90, "labels": {"version": "v1"}},
                    {"name": name, "port": 80, "weight": 10, "labels": {"version": "v2"}},
                ]},
        ],
    })
}

/// The collection of one of Weft's kinds.
pub(super) fn weft(namespace: &str, plural: &str) -> String {
    format!("/apis/weft.dev/v1alpha1/namespaces/{namespace}/{plural}")
}

/// The collection of a namespace's EndpointSlices.
pub(super) fn slices(namespace: &str) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
}

fn own(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": spec})
}

/// A service's pods, running, under their keys.
fn pods(index: usize) -> impl Iterator<Item = (String, Value)> {
    let (namespace, name) = (namespace(index), name(index));
    (0..ENDPOINTS).map(move |endpoint| {
        let number = index * ENDPOINTS + endpoint;
        let pod = format!("{name}-{endpoint}");
        let version = if endpoint % 2 == 0 { "v1" } else { "v2" };
        let address = address(index, endpoint);
        let key = format!("/registry/pods/{namespace}/{pod}");
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": pod, "namespace": namespace,
                "uid": format!("00000000-0000-4000-8000-{number:012}"),
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"app": name, "version": version, "pod-template-hash": "5d4f9c7b6"},
                "annotations": {"weft.dev/injected": "true"},
            },
            "spec": {
                "serviceAccountName": "default", "nodeName": format!("node-{}", number % 500),
                "containers": [
                    {"name": "app", "image": "registry.example/app:1.0",
                        "ports": [{"name": "http", "containerPort": 8080}]},
                    {"name": "weft-proxy", "image": "registry.example/weft-proxy:1.0"},
                ],
            },
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": "True"}]},
        });
        (key, object)
    })
}

/// The address of a pod; nothing listens there.
fn address(index: usize, endpoint: usize) -> String {
    let number = index * ENDPOINTS + endpoint;
    format!(
        "10.{}.{}.{}",
        128 + (number >> 16),
        (number >> 8) & 255,
        number & 255
    )
}

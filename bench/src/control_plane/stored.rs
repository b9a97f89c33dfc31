use serde_json::{Value, json};

use super::mesh::ENDPOINTS;
use crate::manifests::{name, namespace};

/// A service as it stands in etcd once controllers and kubelets have done their part, each object
/// under its key: the Service and its address, its EndpointSlice, its pods, all of them ready.
pub(super) fn service(index: usize) -> Vec<(String, Value)> {
    let mut objects = vec![of_service(index), of_address(index), of_slice(index)];
    objects.extend((0..ENDPOINTS).map(|endpoint| of_pod(index, endpoint)));
    objects
}

fn of_service(index: usize) -> (String, Value) {
    let (namespace, name, address) = (namespace(index), name(index), cluster_ip(index));
    let key = format!("/registry/services/specs/{namespace}/{name}");
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(&namespace, &name, uid(1, index)),
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP",
                "appProtocol": "http"}],
        },
        "status": {"loadBalancer": {}},
    });
    (key, object)
}

/// What says that the address is taken; without it the API server would mend that.
fn of_address(index: usize) -> (String, Value) {
    let (namespace, name, address) = (namespace(index), name(index), cluster_ip(index));
    let key = format!("/registry/ipaddresses/{address}");
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {
            "name": address, "uid": uid(2, index), "creationTimestamp": MADE,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": "IPv4",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"group": "", "resource": "services",
            "namespace": namespace, "name": name}},
    });
    (key, object)
}

fn of_slice(index: usize) -> (String, Value) {
    let (namespace, name) = (namespace(index), name(index));
    let key = format!("/registry/endpointslices/{namespace}/{name}-1");
    let endpoints: Vec<Value> = (0..ENDPOINTS)
        .map(|endpoint| {
            json!({
                "addresses": [pod_ip(index, endpoint)],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": node(index, endpoint),
                "targetRef": {"kind": "Pod", "namespace": namespace,
                    "name": format!("{name}-{endpoint}"), "uid": uid(4 + endpoint, index)},
            })
        })
        .collect();
    let mut metadata = metadata(&namespace, &format!("{name}-1"), uid(3, index));
    metadata["labels"] = json!({
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
        "endpoints": endpoints,
    });
    (key, object)
}

fn of_pod(index: usize, endpoint: usize) -> (String, Value) {
    let (namespace, name) = (namespace(index), name(index));
    let pod = format!("{name}-{endpoint}");
    let key = format!("/registry/pods/{namespace}/{pod}");
    let version = if endpoint.is_multiple_of(2) {
        "v1"
    } else {
        "v2"
    };
    let address = pod_ip(index, endpoint);
    let mut metadata = metadata(&namespace, &pod, uid(4 + endpoint, index));
    metadata["labels"] = json!({"app": name, "version": version, "pod-template-hash": "5d4f9c7b6"});
    metadata["annotations"] = json!({"weft.dev/injected": "true"});
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "serviceAccountName": "default", "nodeName": node(index, endpoint),
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
}

const MADE: &str = "2026-01-01T00:00:00Z";

fn metadata(namespace: &str, name: &str, uid: String) -> Value {
    json!({"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": MADE})
}

fn uid(part: usize, index: usize) -> String {
    format!("00000000-0000-4000-8{part:03}-{index:012}")
}

fn node(index: usize, endpoint: usize) -> String {
    format!("node-{}", (index * ENDPOINTS + endpoint) % 500)
}

/// Of the API server's range.
fn cluster_ip(index: usize) -> String {
    format!("10.96.{}.{}", 1 + (index >> 8), index & 255)
}

/// Nothing listens there.
fn pod_ip(index: usize, endpoint: usize) -> String {
    let number = index * ENDPOINTS + endpoint;
    let (high, low) = (128 + (number >> 16), number & 255);
    format!("10.{high}.{}.{low}", (number >> 8) & 255)
}

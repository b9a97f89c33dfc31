use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{ConfigMap, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    },
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use weft_e2e::control_plane::{ControlPlane, objects::FIELD_MANAGER};

pub(crate) const SYSTEM: &str = "weft-system";
pub(crate) const CONFIG: &str = "weft-config";
pub(crate) const KINDS: [(&str, &str); 3] = [
    ("VirtualRoute", "virtualroutes"),
    ("MeshPolicy", "meshpolicies"),
    ("AuthPolicy", "authpolicies"),
];

/// One cluster has one operator: tests that run one take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// An API server with the three kinds, weft's own namespaces and RBAC, and one meshed namespace of
/// this test's own with a service in it.
pub(crate) struct Stage {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    /// The test's own namespace.
    pub(crate) namespace: String,
    /// What the operator uses: its own service account, with the rights of `config/rbac`.
    pub(crate) operator_kubeconfig: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) async fn enter(namespace: &str) -> Self {
        let turn = TURN.lock().await;
        let plane = ControlPlane::shared().await.unwrap();
        plane.install_crds().await.unwrap();
        let operator_kubeconfig = permissions(plane).await;
        plane
            .create_namespace(namespace, &[("weft.dev/inject", "enabled")])
            .await
            .unwrap();
        let stage = Self {
            plane,
            client: plane.client().await.unwrap(),
            namespace: namespace.to_owned(),
            operator_kubeconfig,
            _turn: turn,
        };
        stage.service("reviews").await;
        stage
    }

    /// A service with one meshed pod behind it, and the pod's service account, all of one name.
    pub(crate) async fn service(&self, name: &str) {
        let number = name.bytes().map(u32::from).sum::<u32>() % 200 + 1;
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {
                "selector": {"app": name},
                "ports": [{"name": "http", "port": 9080, "targetPort": 9080}],
            }}),
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": format!("{name}-0"), "labels": {"app": name},
                    "annotations": {"weft.dev/injected": "true"},
                },
                "spec": {"serviceAccountName": name, "containers": [{"name": "app", "image": "app"}]},
            }),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name},
                },
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 9080, "protocol": "TCP"}],
                "endpoints": [{
                    "addresses": [format!("10.1.0.{number}")],
                    "conditions": {"ready": true},
                    "targetRef": {"kind": "Pod", "name": format!("{name}-0"), "namespace": self.namespace},
                }],
            }),
        ] {
            self.apply(&object).await;
        }
    }

    /// Applies an object in the test's own namespace.
    pub(crate) async fn apply(&self, object: &Value) -> DynamicObject {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.namespace);
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.api(&object)
            .patch(&name, &params, &Patch::Apply(&object))
            .await
            .unwrap_or_else(|error| panic!("{error} for {object}"))
    }

    /// Deletes an object of the test's own namespace.
    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        self.of_kind(kind)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Applies one of weft's three kinds.
    pub(crate) async fn weft(&self, kind: &str, name: &str, spec: Value) -> DynamicObject {
        self.apply(&json!({
            "apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        }))
        .await
    }

    /// Sends what `service` gets with header `x-mark: <mark>` back to it. The mark shows up in the
    /// service's document.
    pub(crate) async fn route(&self, name: &str, service: &str, mark: &str) -> DynamicObject {
        self.weft("VirtualRoute", name, route(service, mark)).await
    }

    /// Objects of one of weft's three kinds, or a Service, in the test's own namespace.
    pub(crate) fn of_kind(&self, kind: &str) -> Api<DynamicObject> {
        let api_version = if kind == "Service" {
            "v1"
        } else {
            "weft.dev/v1alpha1"
        };
        self.api(&json!({"apiVersion": api_version, "kind": kind}))
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = object["kind"].as_str().unwrap();
        let plural = KINDS.iter().find(|(known, _)| *known == kind).map_or_else(
            || format!("{}s", kind.to_lowercase()),
            |(_, plural)| (*plural).to_owned(),
        );
        let kind = GroupVersionKind::gvk(group, version, kind);
        Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &ApiResource::from_gvk_with_plural(&kind, &plural),
        )
    }

    /// A document as it is stored, if it is.
    pub(crate) async fn document(&self, name: &str) -> Option<String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), CONFIG);
        let map = maps.get_opt(name).await.unwrap()?;
        Some(map.data.unwrap()["document"].clone())
    }

    /// The name of the document of a service in the test's own namespace.
    pub(crate) fn service_document(&self, service: &str) -> String {
        format!("service.{}.{service}", self.namespace)
    }

    /// Waits until the document of a service says, or does not say, something.
    pub(crate) async fn until_says(&self, service: &str, says: &str, bound: Duration) -> Duration {
        let name = self.service_document(service);
        eventually(&format!("{name} says {says}"), bound, || async {
            match self.document(&name).await {
                Some(text) if text.contains(says) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits until an object's status is about its present generation and `Ready` has a status.
    pub(crate) async fn until_ready(
        &self,
        kind: &str,
        name: &str,
        ready: &str,
        bound: Duration,
    ) -> (Value, Duration) {
        let objects = self.of_kind(kind);
        let mut last = Value::Null;
        let took = eventually(&format!("{kind} {name} is Ready={ready}"), bound, || {
            let objects = objects.clone();
            async move {
                let object = objects.get(name).await.unwrap();
                let status = object.data.get("status").cloned().unwrap_or_default();
                let observed = status["observedGeneration"].as_i64();
                if observed == object.metadata.generation
                    && condition(&status, "Ready")["status"] == ready
                {
                    Ok(())
                } else {
                    Err(status.to_string())
                }
            }
        })
        .await;
        if let Ok(object) = objects.get(name).await {
            last = object.data["status"].clone();
        }
        (last, took)
    }

    /// Who holds the lease, if somebody does.
    pub(crate) async fn leader(&self) -> Option<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), SYSTEM);
        let spec = leases.get_opt("weft-operator").await.unwrap()?.spec?;
        spec.holder_identity.filter(|holder| !holder.is_empty())
    }

    /// Everything that the operator writes, leases aside, by name with its resource version.
    pub(crate) async fn written(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), CONFIG);
        note(&mut found, "ConfigMap", maps).await;
        note::<Secret>(&mut found, "Secret", Api::all(self.client.clone())).await;
        for (kind, plural) in KINDS {
            let kind = GroupVersionKind::gvk("weft.dev", "v1alpha1", kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, plural);
            let objects: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            for object in objects.list(&ListParams::default()).await.unwrap() {
                insert(&mut found, plural, object.meta());
            }
        }
        found
    }
}

async fn note<K>(found: &mut BTreeMap<String, String>, kind: &str, api: Api<K>)
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    for object in api.list(&ListParams::default()).await.unwrap() {
        insert(found, kind, object.meta());
    }
}

fn insert(found: &mut BTreeMap<String, String>, kind: &str, meta: &ObjectMeta) {
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    found.insert(
        format!("{kind} {namespace}/{name}"),
        meta.resource_version.clone().unwrap_or_default(),
    );
}

/// Weft's namespaces and the rights of its operator, as they are shipped, and a kubeconfig that has
/// just these.
async fn permissions(plane: &ControlPlane) -> PathBuf {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    for part in ["operator", "rbac"] {
        let part = config.join(part);
        plane
            .kubectl()
            .run(&["apply", "--server-side", "-k", &part.to_string_lossy()])
            .await
            .unwrap();
    }
    plane
        .service_account_kubeconfig(SYSTEM, "weft-operator")
        .await
        .unwrap()
}

/// A VirtualRoute's spec.
pub(crate) fn route(service: &str, mark: &str) -> Value {
    json!({
        "parentRefs": [{"kind": "Service", "name": service}],
        "http": [{
            "matches": [{"headers": [{"name": "x-mark", "value": mark}]}],
            "backendRefs": [{"name": service, "port": 9080}],
        }],
    })
}

/// A condition of a status; null where it has none of that type.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

/// Asks until the answer is `Ok`; says how long that took. What it was last, the panic tells.
pub(crate) async fn eventually<F, Fut>(what: &str, bound: Duration, mut ask: F) -> Duration
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let started = Instant::now();
    loop {
        let answer = ask().await;
        let took = started.elapsed();
        match answer {
            Ok(()) => return took,
            Err(last) if took > bound => panic!("not within {bound:?}: {what}; at last: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The name of an object, for messages.
pub(crate) fn full_name(object: &DynamicObject) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

use std::time::Duration;

use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    rbac::v1::RoleBinding,
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde_json::{Value, json};

use crate::{
    operator::Operator,
    stage::{CONFIG, Stage, eventually, route},
};

const BOUND: Duration = Duration::from_secs(15);

/// What GitOps controllers and people put on objects. A controller takes an object with its mark
/// for one of its own, and prunes it where it does not find it in Git.
const MARKS: [&str; 6] = [
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
    "meta.helm.sh/release-name",
    "team.example.com/owner",
];

fn marked(mut object: Value) -> Value {
    for mark in MARKS {
        object["metadata"]["labels"][mark] = json!("marked");
        object["metadata"]["annotations"][mark] = json!("marked");
    }
    object
}

/// Whatever is generated in the namespaces of this test: its documents, identities, bindings.
async fn generated<K>(api: Api<K>, about: &str) -> Vec<K>
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let all = api.list(&ListParams::default()).await.unwrap();
    all.into_iter()
        .filter(|object| object.name_any().contains(about))
        .collect()
}

fn assert_unmarked<K: Resource<DynamicType = ()>>(objects: &[K], expected: usize) {
    assert!(
        objects.len() >= expected,
        "only {} {}",
        objects.len(),
        K::kind(&())
    );
    for object in objects {
        let metadata = serde_json::to_string(object.meta()).unwrap();
        for mark in MARKS {
            assert!(
                !metadata.contains(mark),
                "{} has {mark}: {metadata}",
                object.name_any()
            );
        }
    }
}

#[tokio::test]
async fn labels_and_annotations_of_owners_are_on_nothing_that_is_generated() {
    let stage = Stage::enter("marked").await;
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "marked", "labels": {"weft.dev/inject": "enabled"}},
    });
    let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    let kubectl = stage.plane.kubectl();
    let namespace = marked(namespace).to_string();
    kubectl.run_with_input(&args, &namespace).await.unwrap();
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reviews"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews"}, "spec": {
            "selector": {"app": "reviews"},
            "ports": [{"name": "http", "port": 9080, "targetPort": 9080}],
        }}),
        json!({
            "apiVersion": "weft.dev/v1alpha1", "kind": "VirtualRoute",
            "metadata": {"name": "reviews"}, "spec": route("reviews", "marked-route"),
        }),
        json!({
            "apiVersion": "weft.dev/v1alpha1", "kind": "AuthPolicy",
            "metadata": {"name": "reviews"},
            "spec": {
                "targetRefs": [{"kind": "Service", "name": "reviews"}],
                "rules": [{"to": [{"methods": ["GET"]}]}],
            },
        }),
    ] {
        stage.apply(&marked(object)).await;
    }
    let _operator = Operator::lead(&stage, "marked-operator").await;
    stage.until_says("reviews", "marked-route", BOUND).await;
    let client = &stage.client;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "marked");
    eventually("the account has its identity", BOUND, || async {
        match secrets.get_opt("weft-identity-reviews").await.unwrap() {
            Some(_) => Ok(()),
            None => Err("it is not there".to_owned()),
        }
    })
    .await;

    // The service's, its endpoints', the namespace's inbound one.
    let documents: Api<ConfigMap> = Api::namespaced(client.clone(), CONFIG);
    assert_unmarked(&generated(documents, "marked").await, 3);
    assert_unmarked(&generated(secrets, "weft-identity").await, 1);
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), "marked");
    assert_unmarked(&generated(bindings, "weft").await, 1);
    let readers: Api<RoleBinding> = Api::namespaced(client.clone(), CONFIG);
    assert_unmarked(&generated(readers, "weft-proxy").await, 1);
}

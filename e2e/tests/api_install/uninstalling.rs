use serde_json::{Value, json};

use crate::stage::{CONFIG, SHOP, SYSTEM, Stage, config, installation};

/// What users have, and what running proxies live from.
const STAY: [(&str, &str, &str); 10] = [
    ("", "crd", "virtualroutes.weft.dev"),
    ("", "crd", "meshpolicies.weft.dev"),
    ("", "crd", "authpolicies.weft.dev"),
    ("", "namespace", SYSTEM),
    ("", "namespace", CONFIG),
    (SHOP, "virtualroute", "reviews"),
    (SYSTEM, "meshpolicy", "strict"),
    (SYSTEM, "secret", "weft-ca"),
    (SHOP, "secret", "weft-identity-reviews"),
    (CONFIG, "configmap", "mesh"),
];

const GO: [(&str, &str, &str); 8] = [
    ("", "mutatingwebhookconfiguration", "weft-injector"),
    ("", "validatingwebhookconfiguration", "weft-validator"),
    ("", "clusterrole", "weft-operator"),
    ("", "clusterrolebinding", "weft-operator"),
    ("", "clusterrole", "weft-identity-issuer"),
    (SYSTEM, "deployment", "weft-operator"),
    (SYSTEM, "serviceaccount", "weft-operator"),
    (CONFIG, "rolebinding", "weft-proxy"),
];

async fn is_there(stage: &Stage, (namespace, kind, name): (&str, &str, &str)) -> bool {
    let mut args = vec!["get", kind, name, "-o", "name", "--ignore-not-found"];
    if !namespace.is_empty() {
        args.extend(["-n", namespace]);
    }
    !stage.kubectl(&args).await.trim().is_empty()
}

async fn the_users_objects(stage: &Stage) {
    let objects: [Value; 3] = [
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "reviews", "namespace": SHOP},
            "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]},
        }),
        json!({
            "apiVersion": "weft.dev/v1alpha1", "kind": "VirtualRoute",
            "metadata": {"name": "reviews", "namespace": SHOP},
            "spec": {
                "parentRefs": [{"kind": "Service", "name": "reviews"}],
                "http": [{"backendRefs": [{"name": "reviews", "port": 9080}]}],
            },
        }),
        json!({
            "apiVersion": "weft.dev/v1alpha1", "kind": "MeshPolicy",
            "metadata": {"name": "strict", "namespace": SYSTEM},
            "spec": {"targetRefs": [{"kind": "Mesh"}], "mtls": {"mode": "Strict"}},
        }),
    ];
    stage.apply(&objects).await;
}

async fn only_the_mesh_is_gone(stage: &Stage) {
    for object in STAY {
        assert!(is_there(stage, object).await, "{object:?} is gone");
    }
    for object in GO {
        assert!(!is_there(stage, object).await, "{object:?} is left");
    }
}

#[tokio::test]
async fn weft_uninstall_leaves_what_is_the_users_and_a_new_mesh_takes_it_up_again() {
    let mut stage = Stage::enter().await;
    stage.apply(&installation()).await;
    the_users_objects(&stage).await;
    stage.start_operator().await;
    stage.stop_operator();
    let ca = [
        "-n",
        SYSTEM,
        "get",
        "secret",
        "weft-ca",
        "-o",
        "jsonpath={.metadata.uid}{.data}",
    ];
    let before = stage.kubectl(&ca).await;

    let names = weft_install::to_yaml(&weft_install::uninstall(false).unwrap()).unwrap();
    stage
        .kubectl_with(&["delete", "--ignore-not-found", "-f", "-"], &names)
        .await;
    only_the_mesh_is_gone(&stage).await;

    stage.apply(&installation()).await;
    stage.start_operator().await;
    assert_eq!(stage.kubectl(&ca).await, before, "the CA is another");
}

#[tokio::test]
async fn helm_uninstall_leaves_what_is_the_users_and_a_new_release_takes_it_up_again() {
    let mut stage = Stage::enter().await;
    let chart = config("chart");
    stage.helm(&["install", "weft", &chart]).await;
    the_users_objects(&stage).await;
    stage.start_operator().await;
    stage.stop_operator();
    stage.helm(&["uninstall", "weft"]).await;
    only_the_mesh_is_gone(&stage).await;
    stage.helm(&["install", "weft", &chart]).await;
    stage.start_operator().await;
}

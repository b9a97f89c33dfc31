//! The webhooks against a real API server: what a user creates comes back with a proxy, or is
//! refused with a reason, and what is asked of nobody stays possible.

mod judgement;
mod offline;
mod stage;

use std::{collections::BTreeSet, sync::Mutex};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use stage::{Stage, eventually};

fn pod(namespace: &str, name: &str, annotations: Value, spec: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
        "spec": spec,
    })
}

fn simple() -> Value {
    json!({"containers": [{"name": "app", "image": "app", "livenessProbe": {"tcpSocket": {"port": 80}}}]})
}

fn route(name: &str, pattern: &str) -> Value {
    json!({
        "apiVersion": "weft.dev/v1alpha1", "kind": "VirtualRoute",
        "metadata": {"namespace": "meshed", "name": name},
        "spec": {
            "parentRefs": [{"kind": "Service", "name": "reviews"}],
            "http": [{
                "matches": [{"path": {"type": "Regex", "value": pattern}}],
                "backendRefs": [{"name": "reviews", "port": 9080}],
            }],
        },
    })
}

fn names(pod: &Value) -> Vec<&str> {
    let init = pod["spec"]["initContainers"].as_array();
    init.into_iter()
        .flatten()
        .map(|container| container["name"].as_str().unwrap())
        .collect()
}

/// One control plane, one story: a cluster has one set of webhooks.
#[tokio::test]
async fn webhooks_put_proxies_into_pods_and_refuse_what_could_not_be_enforced() {
    let mut stage = Stage::enter().await;
    for (name, labels) in [
        ("meshed", json!({"weft.dev/inject": "enabled"})),
        ("plain", json!({})),
    ] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        stage.create(&namespace).await.unwrap();
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": name, "name": "default"}});
        stage.create(&account).await.unwrap();
    }

    without_an_operator(&stage).await;
    stage.start_operator().await;
    the_bundle_is_the_operators_alone(&stage).await;
    pods_get_their_proxy(&stage).await;
    the_certificate_rotates(&stage).await;
    pods_stay_outside(&stage).await;
    offline::offline_makes_the_same_pods(&stage).await;
    judgement::objects_are_judged_in_the_words_of_lint(&stage).await;
    own_objects_are_judged(&stage).await;
    the_bundle_comes_back(&stage).await;
    stage.stop_operator();
    without_an_operator(&stage).await;
}

/// A pod that should be in the mesh is not created outside it; everything else goes on.
async fn without_an_operator(stage: &Stage) {
    let refused = stage
        .create(&pod("meshed", "early", json!({}), simple()))
        .await;
    let why = refused.expect_err("a pod was created outside the mesh");
    assert!(why.contains("inject.weft.dev"), "{why}");
    let name = format!("free-{}", uid());
    stage
        .create(&pod("plain", &name, json!({}), simple()))
        .await
        .unwrap();
    // The pods that bring the operator back.
    let mut own = pod("weft-system", &name, json!({}), json!({}));
    own["spec"] = json!({
        "serviceAccountName": "weft-operator", "automountServiceAccountToken": false,
        "containers": [{"name": "operator", "image": "weft-operator", "securityContext": {
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }}],
    });
    stage.create(&own).await.unwrap();
    let mut out = pod("meshed", &name, json!({}), simple());
    out["metadata"]["labels"] = json!({"weft.dev/inject": "disabled"});
    let out = stage.create(&out).await.unwrap();
    assert_eq!(names(&out), [""; 0]);
    // A first opinion that is not to be had refuses nothing.
    stage.create(&route(&name, "/a[")).await.unwrap();
}

fn uid() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

async fn pods_get_their_proxy(stage: &Stage) {
    let created = stage
        .create(&pod("meshed", "web", json!({}), simple()))
        .await
        .unwrap();
    assert_eq!(names(&created), ["weft-init", "weft-proxy"]);
    assert_eq!(
        created["metadata"]["annotations"]["weft.dev/injected"],
        "true"
    );
    let proxy = &created["spec"]["initContainers"][1];
    assert_eq!(proxy["restartPolicy"], "Always");
    assert_eq!(proxy["image"], "registry.example/weft-proxy:test");
    let mounts = proxy["volumeMounts"].as_array().unwrap();
    let tokens = mounts
        .iter()
        .filter(|mount| mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(tokens.count(), 1, "{mounts:?}");
    let probe = &created["spec"]["containers"][0]["livenessProbe"];
    assert_eq!(probe["httpGet"]["path"], "/app-health/app/liveness");
    assert!(probe["tcpSocket"].is_null());

    // What was stored is stored as it is: the same pod, given again, gets no second proxy.
    let mut again = created.clone();
    again["metadata"] = json!({
        "namespace": "meshed", "name": "again", "annotations": created["metadata"]["annotations"],
    });
    let again = stage.create(&again).await.unwrap();
    assert_eq!(names(&again), ["weft-init", "weft-proxy"]);
    assert_eq!(again["spec"]["volumes"], created["spec"]["volumes"]);

    let mut without_token = simple();
    without_token["automountServiceAccountToken"] = json!(false);
    let created = stage
        .create(&pod("meshed", "tokenless", json!({}), without_token))
        .await
        .unwrap();
    let volumes = created["spec"]["volumes"].to_string();
    assert!(volumes.contains("weft-token"), "{volumes}");
    let mounts = created["spec"]["containers"][0]["volumeMounts"].to_string();
    assert!(!mounts.contains("serviceaccount"), "{mounts}");

    let wrong = pod(
        "meshed",
        "wrong",
        json!({"weft.dev/exclude-inbound-ports": "all"}),
        simple(),
    );
    let why = stage.create(&wrong).await.expect_err("it means nothing");
    assert!(why.contains("weft.dev/exclude-inbound-ports"), "{why}");
}

/// The serving certificate lives for ten seconds here. What the API server was told to trust
/// verifies each of its successors, and every pod that is created meanwhile gets its proxy.
async fn the_certificate_rotates(stage: &Stage) {
    let (kind, name) = CONFIGURATIONS[0];
    let configuration = stage.stored(kind, name).await;
    let bundle = configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str();
    // Base64, as every list of bytes in the API.
    let bundle: k8s_openapi::ByteString = serde_json::from_value(json!(bundle)).unwrap();
    let bundle = String::from_utf8(bundle.0).unwrap();
    let shown = Mutex::new(BTreeSet::new());
    eventually("the certificate was issued again twice", || async {
        let certificate = stage.shown(&bundle).await.expect("it is always valid");
        let name = format!("meanwhile-{}", uid());
        let created = stage
            .create(&pod("meshed", &name, json!({}), simple()))
            .await;
        assert_eq!(names(&created.unwrap()), ["weft-init", "weft-proxy"]);
        let mut shown = shown.lock().unwrap();
        shown.insert(certificate);
        match shown.len() {
            3.. => Ok(()),
            count => Err(format!("{count} certificates were shown")),
        }
    })
    .await;
}

async fn pods_stay_outside(stage: &Stage) {
    let out = pod(
        "meshed",
        "out",
        json!({"weft.dev/inject": "disabled"}),
        simple(),
    );
    assert_eq!(names(&stage.create(&out).await.unwrap()), [""; 0]);
    let mut host = simple();
    host["hostNetwork"] = json!(true);
    let host = stage
        .create(&pod("meshed", "host", json!({}), host))
        .await
        .unwrap();
    assert_eq!(names(&host), [""; 0]);
    let plain = stage
        .create(&pod("plain", "web", json!({}), simple()))
        .await
        .unwrap();
    assert_eq!(names(&plain), [""; 0]);
}

async fn own_objects_are_judged(stage: &Stage) {
    stage.create(&route("good", "/a[0-9]+")).await.unwrap();
    let why = stage
        .create(&route("bad", "/a["))
        .await
        .expect_err("it cannot be enforced");
    assert!(
        why.contains("validate.weft.dev") && why.contains("spec.http[0].matches[0].path"),
        "{why}"
    );
    // Stored while no operator answered: it may be labelled, and must be mended to be changed.
    let stored = route("free-0", "/a[");
    let labels = json!({"metadata": {"labels": {"seen": "yes"}}});
    let params = PatchParams::default();
    let api = stage.api(&stored);
    api.patch("free-0", &params, &Patch::Merge(&labels))
        .await
        .unwrap();
    let worse = json!({"spec": route("free-0", "/b[")["spec"]});
    let refused = api.patch("free-0", &params, &Patch::Merge(&worse)).await;
    assert!(refused.is_err(), "a change for the worse was taken");
    let better = json!({"spec": route("free-0", "/b")["spec"]});
    api.patch("free-0", &params, &Patch::Merge(&better))
        .await
        .unwrap();
}

const CONFIGURATIONS: [(&str, &str); 2] = [
    ("MutatingWebhookConfiguration", "weft-injector"),
    ("ValidatingWebhookConfiguration", "weft-validator"),
];

/// Applying `config/` again neither takes the roots away nor changes anything.
async fn the_bundle_is_the_operators_alone(stage: &Stage) {
    for (kind, name) in CONFIGURATIONS {
        eventually("the API server knows the roots", || async {
            let stored = stage.stored(kind, name).await;
            let bundle = &stored["webhooks"][0]["clientConfig"]["caBundle"];
            bundle.as_str().map(drop).ok_or_else(|| stored.to_string())
        })
        .await;
    }
    let mut before = Vec::new();
    for (kind, name) in CONFIGURATIONS {
        before.push(stage.stored(kind, name).await);
    }
    stage.install().await;
    for ((kind, name), before) in CONFIGURATIONS.into_iter().zip(before) {
        let after = stage.stored(kind, name).await;
        assert_eq!(
            after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
            "applying {name} again changed it"
        );
        let managers = after["metadata"]["managedFields"].as_array().unwrap();
        let owner = managers
            .iter()
            .find(|entry| entry["manager"] == "weft-webhook")
            .unwrap();
        let owned = owner["fieldsV1"].to_string();
        assert!(
            owned.contains("f:caBundle") && !owned.contains("f:rules"),
            "{owned}"
        );
    }
}

/// Whoever takes the configuration away and puts it back finds it working again.
async fn the_bundle_comes_back(stage: &Stage) {
    for (kind, name) in CONFIGURATIONS {
        let of =
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {}});
        stage
            .api(&of)
            .delete(name, &Default::default())
            .await
            .unwrap();
    }
    stage.install().await;
    eventually("pods get proxies again", || async {
        let name = format!("back-{}", uid());
        match stage
            .create(&pod("meshed", &name, json!({}), simple()))
            .await
        {
            Ok(created) if names(&created).len() == 2 => Ok(()),
            Ok(_) => panic!("a pod was created outside the mesh"),
            Err(why) => Err(why),
        }
    })
    .await;
}

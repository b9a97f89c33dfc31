//! From outside the cluster's mesh to a service in it.

use serde_json::Value;
use weft_e2e::gateway_api;

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually, repository, seconds, text},
};

const HERE: &str = "story-gateway";
const OUTSIDE: &str = "story-gateway-outside";
const EDGE: &str = "weft-gateway";

/// Plain HTTP from who has no identity, mutual TLS behind the gateway.
pub(crate) async fn requests_from_outside_reach_services_by_mutual_tls(stage: &Stage) -> Told {
    the_operator_needs_no_gateway_api(stage).await?;
    let started = std::time::Instant::now();
    install_the_gateway_api(stage).await?;
    let gateway = repository().join("config/gateway");
    let args = ["apply", "--server-side", "-k", &gateway.to_string_lossy()];
    stage.goes_with_the_story(EDGE);
    stage.run(&args).await?;
    stage.apply(GATEWAY).await?;
    stage.namespace(HERE, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(POLICIES).await?;
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    for namespace in [EDGE, HERE, OUTSIDE] {
        stage.rolled_out(namespace).await?;
    }
    let url = format!("http://gateway.{EDGE}/api/reviews/1");
    let ours = ["Host: shop.example"];
    let answer = eventually("the gateway answers", async || {
        let answer = outsider.get_with(&url, &ours).await?;
        answer.ok()?;
        Ok(answer)
    })
    .await?;
    stage.note(format!(
        "gateway: from the CRDs of the Gateway API to the first answer {:.1} s",
        seconds(started)
    ));
    let caller = answer.body["clientCert"].as_str().unwrap_or_default();
    ensure!(
        caller.contains("URI=spiffe://cluster.local/ns/weft-gateway/sa/gateway"),
        "the reviews saw {caller:?}"
    );
    // The front door is the only one.
    let around = outsider
        .get(&format!("http://reviews.{HERE}:9080/reviews/1"))
        .await?;
    ensure!(
        around.header("x-weft-flag") == "mtls_required",
        "{around:?}"
    );
    // Of other hosts and paths the gateway knows nothing, and of others' identities neither.
    for (url, headers) in [
        (&*url, vec!["Host: other.example"]),
        (&*format!("http://gateway.{EDGE}/reviews/1"), ours.to_vec()),
    ] {
        let answer = outsider.get_with(url, &headers).await?;
        ensure!(answer.status == Some(404), "{url} {headers:?}: {answer:?}");
    }
    let forged = [
        ours[0],
        "x-forwarded-client-cert: URI=spiffe://cluster.local/ns/a/sa/b",
    ];
    let answer = outsider.get_with(&url, &forged).await?;
    let caller = answer.ok()?["clientCert"].as_str().unwrap_or_default();
    ensure!(!caller.contains("/ns/a/sa/b"), "the reviews saw {caller:?}");
    denied_at_the_door(stage, &outsider, &url).await?;
    over_tls(stage, &outsider).await?;
    the_gateway_says_how_it_is(stage).await
}

/// Where somebody has installed it, it is theirs.
async fn install_the_gateway_api(stage: &Stage) -> Told {
    let there = stage
        .run(&["get", "crd", "gateways.gateway.networking.k8s.io"])
        .await;
    if there.is_ok() {
        return Ok(());
    }
    let crds = tokio::task::spawn_blocking(gateway_api::crds).await;
    let crds = crds.map_err(text)?.map_err(text)?;
    let args = ["apply", "--server-side", "-f", &crds.to_string_lossy()];
    stage.run(&args).await?;
    let args = [
        "wait",
        "--for=condition=Established",
        "crd/gateways.gateway.networking.k8s.io",
        "--timeout=60s",
    ];
    stage.run(&args).await?;
    Ok(())
}

/// It stands and serves where no Gateway can exist.
async fn the_operator_needs_no_gateway_api(stage: &Stage) -> Told {
    let there = stage
        .run(&["get", "crd", "gateways.gateway.networking.k8s.io"])
        .await;
    if there.is_err() {
        stage.rolled_out("weft-system").await?;
    }
    Ok(())
}

/// An AuthPolicy that targets the Gateway.
async fn denied_at_the_door(stage: &Stage, outsider: &Caller<'_>, url: &str) -> Told {
    stage.apply(DENY).await?;
    eventually("the gateway refuses a method", async || {
        let answer = outsider
            .get_with(url, &["Host: shop.example", "x-robot: yes"])
            .await?;
        let by = answer.header("x-weft-denied-by");
        ensure!(
            answer.status == Some(403) && by == "weft-gateway/no-robots/robots",
            "{answer:?}"
        );
        Ok(())
    })
    .await
}

/// A listener that ends TLS, its certificate in a Secret that the Deployment mounts.
async fn over_tls(stage: &Stage, outsider: &Caller<'_>) -> Told {
    let issued = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).map_err(text)?;
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "shop-example", "namespace": EDGE},
        "stringData": {
            "tls.crt": issued.cert.pem(),
            "tls.key": issued.signing_key.serialize_pem(),
        },
    });
    stage.apply(&secret.to_string()).await?;
    let gateway = GATEWAY.replace(
        "  - name: http\n",
        "  - name: https\n    port: 443\n    protocol: HTTPS\n    hostname: shop.example\n    tls: {certificateRefs: [{name: shop-example}]}\n    allowedRoutes: {namespaces: {from: All}}\n  - name: http\n",
    );
    stage.apply(&gateway).await?;
    for (what, patch) in [
        ("deployment/gateway", TLS_OF_THE_POD),
        ("service/gateway", TLS_OF_THE_SERVICE),
    ] {
        stage
            .run(&["-n", EDGE, "patch", what, "--type=json", "-p", patch])
            .await?;
    }
    stage.rolled_out(EDGE).await?;
    let (url, root) = (
        format!("https://gateway.{EDGE}/api/reviews/1"),
        issued.cert.pem(),
    );
    eventually("the gateway answers over TLS", async || {
        let answer = outsider
            .get_securely(&url, &root, &["Host: shop.example"])
            .await?;
        let caller = answer.ok()?["clientCert"].as_str().unwrap_or_default();
        ensure!(caller.contains("/ns/weft-gateway/sa/gateway"), "{caller:?}");
        Ok(())
    })
    .await?;
    // Not without TLS.
    let plain = outsider
        .get_with(
            &format!("http://gateway.{EDGE}:443/api/reviews/1"),
            &["Host: shop.example"],
        )
        .await?;
    ensure!(plain.error.is_some(), "{plain:?}");
    Ok(())
}

async fn the_gateway_says_how_it_is(stage: &Stage) -> Told {
    eventually("the class and the Gateway are accepted", async || {
        let class = stage.get(&["gatewayclass", "weft"]).await?;
        condition(&class["status"]["conditions"], "Accepted")?;
        let gateway = stage.get(&["-n", EDGE, "gateway", "public"]).await?;
        let status = &gateway["status"];
        condition(&status["conditions"], "Accepted")?;
        condition(&status["conditions"], "Programmed")?;
        let listener = &status["listeners"][0];
        condition(&listener["conditions"], "Programmed")?;
        ensure!(listener["attachedRoutes"] == 1, "{listener:#}");
        Ok(())
    })
    .await
}

fn condition(conditions: &Value, kind: &str) -> Told {
    let mut all = conditions.as_array().into_iter().flatten();
    let holds = all.any(|condition| condition["type"] == kind && condition["status"] == "True");
    ensure!(holds, "not {kind}: {conditions:#}");
    Ok(())
}

const TLS_OF_THE_POD: &str = r#"[
  {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "certificate", "secret": {"secretName": "shop-example"}}},
  {"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts/-", "value": {"name": "certificate", "mountPath": "/etc/weft/certificate", "readOnly": true}},
  {"op": "add", "path": "/spec/template/spec/containers/0/ports/-", "value": {"name": "https", "containerPort": 8443}},
  {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--gateway-bind=0.0.0.0:8443=https"},
  {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--gateway-certificate=https=/etc/weft/certificate"}
]"#;

const TLS_OF_THE_SERVICE: &str = r#"[
  {"op": "add", "path": "/spec/ports/-", "value": {"name": "https", "port": 443, "targetPort": "https", "appProtocol": "https"}}
]"#;

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weft}
spec: {controllerName: weft.dev/operator}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: weft-gateway}
spec:
  gatewayClassName: weft
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    allowedRoutes: {namespaces: {from: All}}
";

const POLICIES: &str = "
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: public, namespace: story-gateway}
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public, namespace: weft-gateway}]
  hostnames: [shop.example]
  http:
  - name: reviews
    matches: [{path: {type: Prefix, value: /api}}]
    rewrite: {path: {type: ReplacePrefix, value: /}}
    backendRefs: [{name: reviews, port: 9080}]
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: strict, namespace: story-gateway}
spec:
  targetRefs: [{kind: Namespace}]
  mtls: {mode: Strict}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: gateway-only, namespace: story-gateway}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  rules:
  - name: gateway
    from: [{serviceAccounts: [weft-gateway/gateway]}]
";

const DENY: &str = r#"
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: no-robots, namespace: weft-gateway}
spec:
  targetRefs: [{kind: Gateway, name: public}]
  action: Deny
  rules:
  - name: robots
    when: [{key: "request.headers[x-robot]", values: ["yes"]}]
"#;

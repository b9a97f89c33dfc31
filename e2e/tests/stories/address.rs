//! Pods that are called themselves: by name, as the members of a StatefulSet are, or by address.

use serde_json::Value;

use crate::{
    caller::{Answer, Caller},
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-address";
const OUTSIDE: &str = "story-address-outside";
const WHO: &str = "URI=spiffe://cluster.local/ns/story-address/sa/client";

pub(crate) async fn pods_called_themselves_are_called_by_mutual_tls(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    stage.apply(&strict()).await?;
    stage.apply(&members(HERE)).await?;
    stage.apply(&till()).await?;
    stage.apply(&members(OUTSIDE)).await?;
    let client = Caller::create(stage, HERE, "client").await?;
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    for (namespace, set) in [(HERE, "members"), (HERE, "till"), (OUTSIDE, "members")] {
        rolled_out(stage, namespace, set).await?;
    }
    stage.rolled_out(HERE).await?;
    stage.rolled_out(OUTSIDE).await?;

    // By name: each member is the one that was asked for.
    for member in ["members-0", "members-1"] {
        let url = format!("http://{member}.members.{HERE}:9080/reviews");
        eventually("a member is called by name", async || {
            by_mutual_tls(&client.get(&url).await?, member)
        })
        .await?;
        // And nobody comes in without an identity.
        refused(&outsider.get(&url).await?)?;
    }
    // The headless Service's own name stands for any of them.
    let any = client
        .get(&format!("http://members.{HERE}:9080/reviews"))
        .await?;
    let who = any.ok()?["instance"].as_str().unwrap_or_default();
    by_mutual_tls(&any, who)?;

    // By address.
    let address = address(stage, HERE, "members-1").await?;
    let url = format!("http://{address}:9080/reviews");
    by_mutual_tls(&client.get(&url).await?, "members-1")?;
    refused(&outsider.get(&url).await?)?;
    // A port that no Service declares is no way around, nor is it out of reach.
    let health = client
        .get(&format!("http://{address}:8081/healthz"))
        .await?;
    ensure!(health.status == Some(200), "{health:?}");
    refused(
        &outsider
            .get(&format!("http://{address}:8081/healthz"))
            .await?,
    )?;
    // Where the server speaks first.
    for till in [
        format!("till-0.till.{HERE}:7000"),
        format!("{}:7000", self::address(stage, HERE, "till-0").await?),
    ] {
        let said = client.tcp(&till).await?;
        let greeting = said["greeting"].as_str().unwrap_or_default();
        ensure!(greeting.starts_with("220 ledger"), "{till}: {said}");
        let said = outsider.tcp(&till).await?;
        ensure!(
            said["greeting"].is_null(),
            "{till} greeted a plaintext caller: {said}"
        );
    }
    // Its proxy counted who came, and how.
    let metrics = client
        .get(&format!("http://{address}:15020/metrics"))
        .await?;
    let metrics = metrics.ok()?.as_str().unwrap_or_default().to_owned();
    let answered: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("weft_requests_total{"))
        .filter(|line| line.contains(r#"response_code="200""#))
        .collect();
    ensure!(
        answered.iter().any(|line| line.contains("sa/client"))
            && answered.iter().all(|line| line.contains(r#"mtls="true""#)),
        "what the member answered: {answered:#?}"
    );

    another_pod_of_the_same_name(stage, &client).await?;
    what_is_outside_is_called_as_it_is(stage, &client).await
}

/// A member that comes back has another address, and is found by its name again.
async fn another_pod_of_the_same_name(stage: &Stage, client: &Caller<'_>) -> Told {
    let before = address(stage, HERE, "members-1").await?;
    stage
        .run(&["-n", HERE, "delete", "pod", "members-1", "--wait=true"])
        .await?;
    rolled_out(stage, HERE, "members").await?;
    let url = format!("http://members-1.members.{HERE}:9080/reviews");
    eventually("the new member is called by name", async || {
        by_mutual_tls(&client.get(&url).await?, "members-1")
    })
    .await?;
    let after = address(stage, HERE, "members-1").await?;
    ensure!(
        before != after,
        "the same address again says nothing: {after}"
    );
    Ok(())
}

async fn what_is_outside_is_called_as_it_is(stage: &Stage, client: &Caller<'_>) -> Told {
    let pod = address(stage, OUTSIDE, "members-0").await?;
    for url in [
        format!("http://{pod}:9080/reviews"),
        format!("http://members-0.members.{OUTSIDE}:9080/reviews"),
    ] {
        let answer = client.get(&url).await?;
        let seen = &answer.ok()?["clientCert"];
        ensure!(seen.is_null(), "a pod outside the mesh was told {seen}");
    }
    // The API server, by its ClusterIP and by its own address: it says in plain words that it
    // would rather be spoken to in TLS.
    let slices = stage
        .get(&[
            "-n",
            "default",
            "endpointslices",
            "-l",
            "kubernetes.io/service-name=kubernetes",
        ])
        .await?;
    let slice = &slices["items"][0];
    let address = slice["endpoints"][0]["addresses"][0]
        .as_str()
        .unwrap_or_default();
    let port = &slice["ports"][0]["port"];
    for url in [
        "http://kubernetes.default:443/".to_owned(),
        format!("http://{address}:{port}/"),
    ] {
        let answer = client.get(&url).await?;
        let words = answer.body.as_str().unwrap_or_default();
        ensure!(
            answer.status == Some(400) && words.contains("HTTPS server"),
            "the API server is not reached at {url}: {answer:?}"
        );
    }
    Ok(())
}

/// `member` answered, and saw who called.
fn by_mutual_tls(answer: &Answer, member: &str) -> Told {
    let body: &Value = answer.ok()?;
    ensure!(
        body["instance"] == member,
        "{} answered instead of {member}",
        body["instance"]
    );
    let seen = body["clientCert"].as_str().unwrap_or_default();
    ensure!(seen.contains(WHO), "{member} saw {seen:?}");
    Ok(())
}

/// A plaintext caller was refused for what it is.
fn refused(answer: &Answer) -> Told {
    ensure!(
        answer.status == Some(403) && answer.header("x-weft-flag") == "mtls_required",
        "a plaintext caller was not refused: {answer:?}"
    );
    Ok(())
}

async fn rolled_out(stage: &Stage, namespace: &str, set: &str) -> Told {
    let set = format!("statefulset/{set}");
    let args = ["-n", namespace, "rollout", "status", &set, "--timeout=80s"];
    stage.run(&args).await.map(|_| ())
}

async fn address(stage: &Stage, namespace: &str, pod: &str) -> Told<String> {
    let found = stage.get(&["-n", namespace, "pod", pod]).await?;
    match found["status"]["podIP"].as_str() {
        Some(address) if !address.is_empty() => Ok(address.to_owned()),
        _ => Err(format!("{pod} has no address: {}", found["status"])),
    }
}

fn strict() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: strict, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Namespace, name: {HERE}}}]
  mtls: {{mode: Strict}}
---
"#
    )
}

fn members(namespace: &str) -> String {
    let replicas = if namespace == HERE { 2 } else { 1 };
    set(namespace, "members", "reviews", 9080, "http", replicas)
}

fn till() -> String {
    set(HERE, "till", "ledger", 7000, "tcp", 1)
}

/// A StatefulSet behind a headless Service.
fn set(namespace: &str, name: &str, role: &str, port: u16, protocol: &str, replicas: u8) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: None
  selector: {{app: {name}}}
  ports: [{{name: {protocol}, port: {port}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  serviceName: {name}
  replicas: {replicas}
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: {role}
        image: weft.dev/bookstore:dev
        imagePullPolicy: Never
        args: [{role}, "--listen=0.0.0.0:{port}"]
        env:
        - name: BOOKSTORE_INSTANCE
          valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}
        readinessProbe: {{httpGet: {{path: /readyz, port: 8081}}, periodSeconds: 1}}
---
"#
    )
}

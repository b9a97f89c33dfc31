//! What a pod may say about its proxy, and what is left alone.

use std::time::Duration;

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-injection";
const OUTSIDE: &str = "story-injection-outside";

/// A caller whose calls leave it past its proxy is known by how a Strict callee refuses it.
pub(crate) async fn what_a_pod_excludes_is_not_captured(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(STRICT).await?;
    let callers = [
        ("captured", "{}", true),
        (
            "other-port",
            r#"{weft.dev/exclude-outbound-ports: "80,9000-9079"}"#,
            true,
        ),
        (
            "port",
            r#"{weft.dev/exclude-outbound-ports: "80,9080-9081"}"#,
            false,
        ),
        (
            "other-range",
            "{weft.dev/exclude-outbound-cidrs: 192.0.2.0/24}",
            true,
        ),
        (
            "range",
            "{weft.dev/exclude-outbound-cidrs: 10.0.0.0/8}",
            false,
        ),
        ("other-user", r#"{weft.dev/exclude-uids: "4243"}"#, true),
        ("user", r#"{weft.dev/exclude-uids: "4242,4243"}"#, false),
    ];
    for (name, annotations, _) in callers {
        stage.apply(&caller(name, annotations)).await?;
    }
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    stage.rolled_out(HERE).await?;
    stage.rolled_out(OUTSIDE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    for (name, _, through_the_proxy) in callers {
        let caller = Caller::of(stage, HERE, name);
        eventually(name, async || {
            let answer = caller.get(&url).await?;
            if through_the_proxy {
                return answer.ok().map(drop);
            }
            let plaintext = answer.header("x-weft-flag") == "mtls_required";
            ensure!(plaintext, "{name} was captured: {answer:?}");
            Ok(())
        })
        .await?;
    }

    // A port that a pod excludes is reached directly, outside every policy; the others are not.
    let pods = stage
        .get(&["-n", HERE, "pods", "-l", "app=captured"])
        .await?;
    let address = pods["items"][0]["status"]["podIP"]
        .as_str()
        .unwrap_or_default();
    let excluded = outsider
        .get(&format!("http://{address}:8081/healthz"))
        .await?;
    excluded.ok()?;
    let other = outsider
        .get(&format!("http://{address}:8080/healthz"))
        .await?;
    ensure!(other.status == Some(403), "{other:?}");
    stage.note(format!(
        "injection: {} ways to exclude outbound calls and one for a port of the pod, each as it says",
        callers.iter().filter(|(_, _, captured)| !captured).count()
    ));
    Ok(())
}

/// The host's network and who opted out; the creator is told, and whose policy speaks for them.
pub(crate) async fn what_is_left_alone_is_reported(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    let said = stage
        .apply_and_listen(&plain_pod("on-the-host", "{}", "hostNetwork: true, "))
        .await?;
    ensure!(
        said.contains("uses the host's network") && said.contains("outside the mesh"),
        "nobody was told: {said:?}"
    );
    let out = plain_pod("out", "{weft.dev/inject: disabled}", "");
    stage.apply(&out).await?;
    stage.apply(&plain_pod("in", "{}", "")).await?;
    for name in ["on-the-host", "out", "in"] {
        let pod = stage.get(&["-n", HERE, "pod", name]).await?;
        let has_proxy = pod["spec"]["initContainers"].as_array().is_some();
        ensure!(has_proxy == (name == "in"), "{name}: {:#}", pod["spec"]);
    }
    // A policy that selects them says that it is not enforced there.
    stage.apply(POLICY).await?;
    eventually("the policy names them", async || {
        let policy = stage.get(&["-n", HERE, "authpolicy", "readers"]).await?;
        let conditions = policy["status"]["conditions"].as_array().cloned();
        let conditions = conditions.unwrap_or_default();
        let ready = conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")
            .ok_or("no condition yet")?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(
            ready["status"] == "True" && ready["reason"] == "OutsideMesh",
            "{ready:#}"
        );
        ensure!(
            message.contains("on-the-host")
                && message.contains("out")
                && message.contains("2 of 3"),
            "{message}"
        );
        Ok(())
    })
    .await
}

/// The application's last call, seconds after it was told to end, still goes through its proxy.
pub(crate) async fn the_proxy_outlives_the_application(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(STRICT).await?;
    stage.rolled_out(HERE).await?;
    let last = format!("[stay, \"--last-call=http://reviews.{HERE}:9080/reviews/1\"]");
    stage
        .apply(&plain_pod("ending", "{}", "").replace("[stay]", &last))
        .await?;
    let args = [
        "-n",
        HERE,
        "wait",
        "--for=condition=Ready",
        "pod/ending",
        "--timeout=80s",
    ];
    stage.run(&args).await?;
    let pod = stage.get(&["-n", HERE, "pod", "ending"]).await?;
    let proxy = &pod["status"]["initContainerStatuses"][1];
    ensure!(proxy["name"] == "weft-proxy", "{:#}", pod["status"]);
    // In seconds, which is what the kubelet tells.
    let began = |status: &serde_json::Value| {
        status["state"]["running"]["startedAt"]
            .as_str()
            .map(str::to_owned)
    };
    let (proxy, app) = (began(proxy), began(&pod["status"]["containerStatuses"][0]));
    ensure!(
        proxy.is_some() && proxy <= app,
        "proxy {proxy:?}, application {app:?}"
    );

    let follow = stage.run(&["-n", HERE, "logs", "-f", "ending", "-c", "caller"]);
    let end = async {
        // So that the log is being read when there is something to read.
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage
            .run(&["-n", HERE, "delete", "pod", "ending", "--timeout=60s"])
            .await
    };
    let (said, ended) = tokio::join!(follow, end);
    ended?;
    let said = said?;
    ensure!(said.contains(r#""status":200"#), "its last call: {said:?}");
    Ok(())
}

const STRICT: &str = "
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: strict, namespace: story-injection}
spec:
  targetRefs: [{kind: Namespace}]
  mtls: {mode: Strict}
";

const POLICY: &str = "
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: readers, namespace: story-injection}
spec:
  selector: {matchLabels: {app: plain}}
  action: Allow
  rules:
  - name: reads
    from: [{serviceAccounts: [story-injection/default]}]
";

fn caller(name: &str, annotations: &str) -> String {
    // The capture of the pod's own ports is seen at one of them.
    let annotations = match annotations {
        "{}" => r#"{weft.dev/exclude-inbound-ports: "8081"}"#,
        annotations => annotations,
    };
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {HERE}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {annotations}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: caller
        image: weft.dev/caller:dev
        imagePullPolicy: Never
        args: [stay, "--http=0.0.0.0:8080"]
        securityContext: {{runAsUser: 4242}}
      - name: second
        image: weft.dev/caller:dev
        imagePullPolicy: Never
        args: [stay, "--http=0.0.0.0:8081"]
"#
    )
}

fn plain_pod(name: &str, annotations: &str, spec: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {HERE}, labels: {{app: plain}}, annotations: {annotations}}}
spec: {{{spec}terminationGracePeriodSeconds: 20, containers: [{{name: caller, image: \"weft.dev/caller:dev\", imagePullPolicy: Never, args: [stay]}}]}}
"
    )
}

//! The kubelet has no identity, and asks all the same.

use std::time::Duration;

use serde_json::Value;

use crate::{
    caller::Caller,
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-probes";
const OUTSIDE: &str = "story-probes-outside";

/// Containers, and how each is probed; `exec` stays as it is, all others go through the proxy.
const PROBES: [(&str, &str); 5] = [
    ("http", "httpGet: {path: /healthz, port: 8080}"),
    (
        "https",
        "httpGet: {path: /healthz, port: 8443, scheme: HTTPS}",
    ),
    ("tcp", "tcpSocket: {port: 8080}"),
    ("grpc", "grpc: {port: 9000}"),
    (
        "exec",
        "exec: {command: [/caller, get, --fail, \"http://127.0.0.1:8080/healthz\"]}",
    ),
];

/// Long enough for three failures of a probe that is asked every second.
const WATCHED: Duration = Duration::from_secs(6);

pub(crate) async fn every_kind_works_under_strict_mutual_tls(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    stage.apply(STRICT).await?;
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    stage.apply(&well()).await?;
    stage.apply(&unwell()).await?;
    stage.apply(&direct()).await?;
    let args = [
        "-n",
        HERE,
        "wait",
        "--for=condition=Ready",
        "pod/well",
        "--timeout=80s",
    ];
    stage.run(&args).await?;
    stage.rolled_out(OUTSIDE).await?;

    // Strict is in force: what the kubelet does, nobody else can.
    let pod = stage.get(&["-n", HERE, "pod", "well"]).await?;
    let address = pod["status"]["podIP"].as_str().unwrap_or_default();
    let url = format!("http://{address}:8080/healthz");
    eventually("Strict refuses plaintext", async || {
        let answer = outsider.get(&url).await?;
        ensure!(answer.status == Some(403), "{answer:?}");
        Ok(())
    })
    .await?;

    // An application that is not well is found out, by each kind of question; and one that is
    // asked past the proxy is refused like anybody's plaintext: the proxy makes the difference.
    for (kind, _) in PROBES {
        failure(stage, "unwell", kind, "probe failed").await?;
    }
    failure(stage, "direct", "http", "statuscode: 403").await?;

    tokio::time::sleep(WATCHED).await;
    for (name, is_well) in [("well", true), ("unwell", false)] {
        let pod = stage.get(&["-n", HERE, "pod", name]).await?;
        let containers = pod["status"]["containerStatuses"].as_array();
        let containers = containers.map(Vec::as_slice).unwrap_or_default();
        ensure!(containers.len() == PROBES.len(), "{:#}", pod["status"]);
        for container in containers {
            ensure!(container["ready"] == is_well, "{name}: {container:#}");
            ensure!(container["restartCount"] == 0, "{name}: {container:#}");
        }
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            goes_through_the_proxy(container)?;
        }
    }
    stage.note(format!(
        "probes: {} kinds under Strict; no restart, and each finds out what is not well",
        PROBES.len()
    ));
    Ok(())
}

/// Waits until the kubelet has told of a failed probe of a container.
async fn failure(stage: &Stage, pod: &str, container: &str, words: &str) -> Told {
    let of = format!(
        "involvedObject.name={pod},involvedObject.fieldPath=spec.containers{{{container}}},reason=Unhealthy"
    );
    eventually("a failed probe is told of", async || {
        let args = [
            "-n",
            HERE,
            "get",
            "events",
            "--field-selector",
            &of,
            "-o",
            "jsonpath={.items[*].message}",
        ];
        let said = stage.run(&args).await?;
        ensure!(said.contains(words), "{pod}/{container}: {said:?}");
        Ok(())
    })
    .await
}

/// All but those that run a command.
fn goes_through_the_proxy(container: &Value) -> Told {
    let name = container["name"].as_str().unwrap_or_default();
    let probe = &container["readinessProbe"];
    let through = probe["httpGet"]["path"] == format!("/app-health/{name}/readiness");
    ensure!(through == (name != "exec"), "{name}: {probe}");
    Ok(())
}

const STRICT: &str = "
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: strict, namespace: story-probes}
spec:
  targetRefs: [{kind: Namespace}]
  mtls: {mode: Strict}
";

/// The first container serves what all are asked.
fn well() -> String {
    let serves =
        r#"["stay", "--http=0.0.0.0:8080", "--https=0.0.0.0:8443", "--grpc=0.0.0.0:9000"]"#;
    pod("well", "{}", |kind, handler| {
        let args = if kind == "http" { serves } else { "[stay]" };
        let probe = format!("{{{handler}, periodSeconds: 1, timeoutSeconds: 5}}");
        format!(
            "args: {args}, startupProbe: {probe}, livenessProbe: {probe}, readinessProbe: {probe}"
        )
    })
}

/// Not restarted, so that it can be seen. Of a port that takes connections there is nothing bad
/// to say by connecting: that probe asks another.
fn unwell() -> String {
    let serves = r#"["stay", "--unwell", "--http=0.0.0.0:8080", "--https=0.0.0.0:8443", "--grpc=0.0.0.0:9000"]"#;
    pod("unwell", "{}", |kind, handler| {
        let args = if kind == "http" { serves } else { "[stay]" };
        let handler = match kind {
            "tcp" => handler.replace("8080", "8079"),
            _ => handler.to_owned(),
        };
        format!("args: {args}, readinessProbe: {{{handler}, periodSeconds: 1, timeoutSeconds: 5}}")
    })
}

/// Well, but asked past the proxy.
fn direct() -> String {
    let annotations = r#"{weft.dev/rewrite-probes: "false"}"#;
    pod("direct", annotations, |kind, handler| match kind {
        "http" => format!(
            r#"args: ["stay", "--http=0.0.0.0:8080"], readinessProbe: {{{handler}, periodSeconds: 1, timeoutSeconds: 5}}"#
        ),
        _ => "args: [stay]".to_owned(),
    })
}

fn pod(name: &str, annotations: &str, container: impl Fn(&str, &str) -> String) -> String {
    let containers: String = PROBES
        .iter()
        .map(|(kind, handler)| {
            let own = container(kind, handler);
            format!(
                "  - {{name: {kind}, image: \"weft.dev/caller:dev\", imagePullPolicy: Never, {own}}}\n"
            )
        })
        .collect();
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {HERE}, annotations: {annotations}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
{containers}"
    )
}

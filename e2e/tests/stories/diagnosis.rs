//! What a cluster says of itself when a story has failed.

use serde_json::Value;

use crate::stage::Stage;

/// Proxies that are asked, and lines of each.
const PROXIES: usize = 12;
const LINES: usize = 12;

/// The pods, the last warnings, and what the proxies of the story say of requests that failed.
pub(crate) async fn diagnosis(stage: &Stage) -> String {
    let pods = stage.run(&["get", "pods", "-A", "-o", "wide"]).await;
    let args = [
        "get",
        "events",
        "-A",
        "--field-selector=type=Warning",
        "--sort-by=.lastTimestamp",
    ];
    let events = stage.run(&args).await.unwrap_or_else(|error| error);
    format!(
        "{}\n{}\n{}",
        pods.unwrap_or_else(|error| error),
        last(&events.lines().collect::<Vec<_>>()),
        proxies(stage).await
    )
}

async fn proxies(stage: &Stage) -> String {
    let pods = match stage.get(&["-A", "pods"]).await {
        Ok(pods) => pods,
        Err(error) => return error,
    };
    let mut said = String::new();
    let pods = pods["items"].as_array().into_iter().flatten();
    for pod in pods.filter_map(proxy_of).take(PROXIES) {
        let (namespace, name) = pod;
        let logs = [
            "-n",
            namespace,
            "logs",
            name,
            "-c",
            "weft-proxy",
            "--tail=20000",
        ];
        let logs = stage.run(&logs).await.unwrap_or_else(|error| error);
        let metrics = format!("/api/v1/namespaces/{namespace}/pods/{name}:15020/proxy/metrics");
        let metrics = stage.run(&["get", "--raw", &metrics]).await;
        let metrics = metrics.unwrap_or_else(|error| error);
        let failed = |line: &&str| {
            [r#""flag":"#, r#""level":"WARN""#, r#""level":"ERROR""#]
                .iter()
                .any(|mark| line.contains(mark))
        };
        let refused = |line: &&str| line.starts_with("weft_connections_refused_total{");
        let lines: Vec<&str> = logs.lines().filter(failed).collect();
        let counts: Vec<&str> = metrics.lines().filter(refused).collect();
        if !(lines.is_empty() && counts.is_empty()) {
            said += &format!(
                "{namespace}/{name}:\n{}\n{}\n",
                counts.join("\n"),
                last(&lines)
            );
        }
    }
    said
}

/// Namespace and name of a pod of a story that has a proxy.
fn proxy_of(pod: &Value) -> Option<(&str, &str)> {
    let namespace = pod["metadata"]["namespace"].as_str()?;
    let mut containers = pod["spec"]["initContainers"].as_array()?.iter();
    let has_proxy = containers.any(|container| container["name"] == "weft-proxy");
    let is_told_of = namespace.starts_with("story-") && has_proxy;
    Some((namespace, pod["metadata"]["name"].as_str()?)).filter(|_| is_told_of)
}

fn last(lines: &[&str]) -> String {
    let from = lines.len().saturating_sub(LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

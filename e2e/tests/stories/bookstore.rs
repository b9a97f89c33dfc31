//! The sample, as it stands in `config/samples/`.

use serde_json::Value;

use crate::{
    caller::Caller,
    stage::{Stage, Told, ensure, eventually, repository, seconds},
};

const SHOPPERS: &str = "story-shoppers";
const OUTSIDE: &str = "story-outside";

pub(crate) async fn unchanged_services_call_each_other_by_mutual_tls(stage: &Stage) -> Told {
    let sample = repository().join("config/samples/bookstore");
    let args = ["apply", "--server-side", "-k", &sample.to_string_lossy()];
    stage.goes_with_the_story("bookstore");
    let started = std::time::Instant::now();
    stage.run(&args).await?;
    stage.namespace(SHOPPERS, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    let shopper = Caller::create(stage, SHOPPERS, "shopper").await?;
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    for namespace in ["bookstore", SHOPPERS, OUTSIDE] {
        stage.rolled_out(namespace).await?;
    }
    stage.note(format!(
        "bookstore: from apply to every pod ready {:.1} s",
        seconds(started)
    ));
    every_pod_has_its_proxy(stage).await?;

    let page = eventually("the page is whole", async || {
        let answer = shopper.get("http://storefront.bookstore/").await?;
        let page = answer.ok()?.clone();
        whole(&page).map(|()| page)
    })
    .await?;
    caller_is(
        &page["clientCert"],
        "spiffe://cluster.local/ns/story-shoppers/sa/shopper",
    )?;

    // Nobody without an identity is let in: not by name, not by the pod's own address.
    let pod = stage
        .get(&[
            "-n",
            "bookstore",
            "pods",
            "-l",
            "app.kubernetes.io/name=catalog",
        ])
        .await?;
    let address = pod["items"][0]["status"]["podIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for url in [
        "http://storefront.bookstore/".to_owned(),
        "http://catalog.bookstore/books".to_owned(),
        format!("http://{address}:8080/books"),
    ] {
        let answer = outsider.get(&url).await?;
        ensure!(
            answer.status == Some(403) && answer.header("x-weft-flag") == "mtls_required",
            "a plaintext caller was not refused for what it is at {url}: {answer:?}"
        );
    }
    // The proxies of the catalog counted who came by mutual TLS.
    let mut inbound = Vec::new();
    for pod in pod["items"].as_array().into_iter().flatten() {
        let address = pod["status"]["podIP"].as_str().unwrap_or_default();
        let metrics = shopper
            .get(&format!("http://{address}:15020/metrics"))
            .await?;
        let metrics = metrics.ok()?.as_str().unwrap_or_default();
        let counted = metrics.lines().filter(|line| {
            line.starts_with("weft_requests_total{")
                && line.contains(r#"direction="inbound""#)
                && line.contains(r#"response_code="200""#)
        });
        inbound.extend(counted.map(str::to_owned));
    }
    ensure!(
        inbound
            .iter()
            .any(|line| line.contains("ns/bookstore/sa/storefront")),
        "no metric counts a call of the storefront: {inbound:#?}"
    );
    ensure!(
        inbound.iter().all(|line| line.contains(r#"mtls="true""#)),
        "a request was answered without mutual TLS: {inbound:#?}"
    );
    Ok(())
}

async fn every_pod_has_its_proxy(stage: &Stage) -> Told {
    let pods = stage.get(&["-n", "bookstore", "pods"]).await?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    ensure!(pods.len() >= 7, "only {} pods", pods.len());
    for pod in &pods {
        let name = &pod["metadata"]["name"];
        let containers = pod["spec"]["initContainers"].as_array();
        let proxy = containers
            .into_iter()
            .flatten()
            .find(|container| container["name"] == "weft-proxy")
            .ok_or_else(|| format!("{name} has no proxy"))?;
        ensure!(
            proxy["restartPolicy"] == "Always",
            "{name}: the proxy is no native sidecar"
        );
        let statuses = pod["status"]["initContainerStatuses"].as_array();
        let ready = statuses
            .into_iter()
            .flatten()
            .any(|status| status["name"] == "weft-proxy" && status["ready"] == true);
        ensure!(ready, "{name}: its proxy is not ready");
    }
    Ok(())
}

/// Every part of the page came from a service that saw the storefront's identity.
fn whole(page: &Value) -> Told {
    let storefront = "spiffe://cluster.local/ns/bookstore/sa/storefront";
    let content = &page["content"];
    for part in ["catalog", "reviews"] {
        ensure!(content[part]["status"] == 200, "{part}: {}", content[part]);
        caller_is(&content[part]["answer"]["clientCert"], storefront)?;
    }
    caller_is(&content["ratings"]["clientCert"], storefront)?;
    let greeting = content["ledger"]["greeting"].as_str().unwrap_or_default();
    ensure!(
        greeting.starts_with("220 ledger"),
        "ledger: {}",
        content["ledger"]
    );
    Ok(())
}

fn caller_is(header: &Value, identity: &str) -> Told {
    let header = header.as_str().unwrap_or_default();
    ensure!(
        header.contains(&format!("URI={identity}")),
        "the callee saw {header:?}, not {identity}"
    );
    Ok(())
}

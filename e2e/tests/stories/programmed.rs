//! Waiting until a change is in force.

use crate::{
    caller::Caller,
    canary::{reviews, split},
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-programmed";

/// `kubectl wait` ends when every proxy that has loaded the route has its new generation active,
/// not before, and the status names the one that all wait for.
pub(crate) async fn a_proxy_that_does_not_follow_is_waited_for_and_named(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(&split(HERE, 90)).await?;
    let first = Caller::create(stage, HERE, "first").await?;
    let second = Caller::create(stage, HERE, "second").await?;
    let laggard = Caller::create_with_power_over_its_proxy(stage, HERE, "laggard").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    for caller in [&first, &second, &laggard] {
        eventually("the reviews answer", async || {
            caller.get(&url).await?.ok().map(|_| ())
        })
        .await?;
    }
    says(stage, "active on 3 of 3 proxies", "3/3").await?;
    wait(stage, "1s").await?;

    // A proxy that hears nothing: its process is stopped, as a starved one would be.
    laggard.signal_proxy("stop").await?;
    let told = async {
        stage.apply(&split(HERE, 50)).await?;
        // What is True still is so of the last generation; `kubectl wait` is not taken in.
        let waited = wait(stage, "4s").await;
        ensure!(
            waited.is_err(),
            "kubectl wait did not wait for the proxy that is stopped"
        );
        let message = says(stage, "active on 2 of 3 proxies", "2/3").await?;
        let pod = pod(stage, "laggard").await?;
        ensure!(
            message.ends_with(&format!("; waiting for {HERE}/{pod}")),
            "the status names not {pod}, which is late: {message}"
        );
        eventually("the operator counts a proxy as behind", async || {
            let behind = behind(stage, &first).await?;
            ensure!(behind == "1", "it counts {behind}");
            Ok(())
        })
        .await?;
        Ok(message)
    }
    .await;
    laggard.signal_proxy("cont").await?;
    let message = told?;
    wait(stage, "30s").await?;
    says(stage, "active on 3 of 3 proxies", "3/3").await?;

    // One that is gone is not waited for.
    stage
        .run(&["-n", HERE, "scale", "deployment/laggard", "--replicas=0"])
        .await?;
    says(stage, "active on 2 of 2 proxies", "2/2").await?;
    stage.note(format!("programmed: `{message}`"));
    Ok(())
}

async fn wait(stage: &Stage, seconds: &str) -> Told {
    let timeout = format!("--timeout={seconds}");
    let args = [
        "-n",
        HERE,
        "wait",
        "--for=condition=Programmed",
        &timeout,
        "virtualroute/reviews",
    ];
    stage.run(&args).await.map(drop)
}

/// Waits until the status says so, in words and in the column; gives the words.
async fn says(stage: &Stage, words: &str, column: &str) -> Told<String> {
    eventually(words, async || {
        let route = stage.get(&["-n", HERE, "virtualroute", "reviews"]).await?;
        let conditions = route["status"]["conditions"].as_array();
        let programmed = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Programmed")
            .ok_or("there is no condition Programmed")?;
        let message = programmed["message"].as_str().unwrap_or_default();
        ensure!(
            programmed["observedGeneration"] == route["metadata"]["generation"],
            "of an older generation: {programmed}"
        );
        ensure!(message.starts_with(words), "it says: {message}");
        let shown = &route["status"]["programmed"];
        ensure!(shown == column, "the column shows {shown}");
        Ok(message.to_owned())
    })
    .await
}

async fn pod(stage: &Stage, app: &str) -> Told<String> {
    let selector = format!("app={app}");
    let name = "jsonpath={.items[0].metadata.name}";
    stage
        .run(&["-n", HERE, "get", "pods", "-l", &selector, "-o", name])
        .await
}

/// How many proxies are behind, by the metrics of the operator that leads.
async fn behind(stage: &Stage, caller: &Caller<'_>) -> Told<String> {
    let addresses = "jsonpath={.items[*].status.podIP}";
    let addresses = stage
        .run(&["-n", "weft-system", "get", "pods", "-o", addresses])
        .await?;
    for address in addresses.split_whitespace() {
        let url = format!("http://{address}:15020/metrics");
        let answer = caller.get(&url).await?;
        let metrics = answer.ok()?.as_str().unwrap_or_default();
        let mut lines = metrics.lines();
        let behind =
            lines.find_map(|line| line.strip_prefix(r#"weft_operator_proxies{state="behind"} "#));
        if let Some(behind) = behind {
            return Ok(behind.to_owned());
        }
    }
    Err("no operator counts proxies".to_owned())
}

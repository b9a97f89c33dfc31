//! What the mesh itself takes: measured on a cluster of our own at the end, when nothing else runs.

use std::{fs, time::Duration};

use k8s_openapi::jiff::Timestamp;
use weft_e2e::cluster::PodProcess;

use crate::{
    caller::Caller,
    stage::{Stage, Told, ensure, eventually, repository, text},
};

const HERE: &str = "story-figures";
const PODS: [&str; 5] = ["one", "two", "three", "four", "five"];

pub(crate) async fn measure(stage: &Stage) -> Told {
    if stage.cluster().is_current() {
        stage.note("figures of the mesh: not taken on a cluster of somebody else".to_owned());
        return Ok(());
    }
    images(stage)?;
    stage.namespace(HERE, true).await?;
    for name in PODS {
        Caller::create(stage, HERE, name).await?;
    }
    stage.rolled_out(HERE).await?;
    let ready = eventually("five proxies are ready", async || ready_after(stage).await).await?;
    stage.note(format!(
        "proxy: ready {} ms after its start (the median of {} in pods that started together; {} to {} ms)",
        ready[ready.len() / 2].as_millis(),
        ready.len(),
        ready[0].as_millis(),
        ready[ready.len() - 1].as_millis()
    ));
    for (what, program) in [
        ("an idle proxy", "weft-proxy"),
        ("an operator", "weft-operator"),
    ] {
        let processes = stage.cluster().processes(program);
        let mut sizes: Vec<u64> = processes.iter().map(|process| process.rss_kib).collect();
        sizes.sort_unstable();
        let (Some(least), Some(most)) = (sizes.first(), sizes.last()) else {
            return Err(format!("no process of a pod runs {program}"));
        };
        stage.note(format!(
            "RSS of {what} with the cluster idle: {:.1} to {:.1} MiB in {} processes",
            *least as f32 / 1024.0,
            *most as f32 / 1024.0,
            sizes.len()
        ));
    }
    Ok(())
}

/// An image is an archive around one static program.
fn images(stage: &Stage) -> Told {
    for name in ["operator", "proxy"] {
        let archive = repository().join(format!("target/images/{name}.tar"));
        let size = fs::metadata(&archive)
            .map_err(|error| format!("{}: {error}", archive.display()))?
            .len();
        stage.note(format!(
            "image of the {name}: {:.1} MiB, not compressed",
            size as f32 / (1 << 20) as f32
        ));
    }
    Ok(())
}

/// From the start of each proxy's process to the line by which it says that it is ready.
async fn ready_after(stage: &Stage) -> Told<Vec<Duration>> {
    let mut times = Vec::new();
    for process in stage.cluster().processes("weft-proxy") {
        times.push(ready_of(stage, &process).await?);
    }
    ensure!(times.len() == PODS.len(), "{} proxies run", times.len());
    times.sort_unstable();
    Ok(times)
}

async fn ready_of(stage: &Stage, process: &PodProcess) -> Told<Duration> {
    let log = stage
        .run(&[
            "-n",
            HERE,
            "logs",
            &process.pod,
            "-c",
            "weft-proxy",
            "--timestamps",
        ])
        .await?;
    let said = log
        .lines()
        .find(|line| line.contains(r#""message":"ready""#))
        .and_then(|line| line.split_whitespace().next())
        .ok_or_else(|| format!("the proxy of {} did not say that it is ready", process.pod))?;
    let said: Timestamp = said.parse().map_err(text)?;
    let started = Timestamp::try_from(process.started).map_err(text)?;
    // The start is known to a hundredth of a second.
    Ok((said - started).try_into().unwrap_or_default())
}

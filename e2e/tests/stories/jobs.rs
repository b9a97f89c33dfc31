//! Pods that are meant to end.

use crate::{
    canary::reviews,
    stage::{Stage, Told, ensure},
};

const HERE: &str = "story-jobs";
const JOBS: usize = 20;

/// The proxy is there before the job's first call and gone after its last.
pub(crate) async fn jobs_with_a_proxy_complete(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.rolled_out(HERE).await?;
    let jobs: String = (0..JOBS).map(job).collect();
    stage.apply(&jobs).await?;
    let args = [
        "-n",
        HERE,
        "wait",
        "--for=condition=Complete",
        "jobs",
        "--all",
        "--timeout=80s",
    ];
    stage.run(&args).await?;
    let pods = stage.get(&["-n", HERE, "pods", "-l", "app=early"]).await?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    // A job that had failed once would have a second pod.
    ensure!(pods.len() == JOBS, "{} pods for {JOBS} jobs", pods.len());
    for pod in &pods {
        ensure!(pod["status"]["phase"] == "Succeeded", "{:#}", pod["status"]);
        let injected = &pod["metadata"]["annotations"]["weft.dev/injected"];
        ensure!(injected == "true", "a job's pod has no proxy");
    }
    stage.note(format!(
        "jobs: {JOBS} of {JOBS} complete, each with its first call at once"
    ));
    Ok(())
}

/// Calls in its first millisecond, and fails unless the answer is 200.
fn job(index: usize) -> String {
    format!(
        r#"
---
apiVersion: batch/v1
kind: Job
metadata: {{name: early-{index}, namespace: {HERE}}}
spec:
  backoffLimit: 3
  template:
    metadata: {{labels: {{app: early}}}}
    spec:
      restartPolicy: Never
      containers:
      - name: caller
        image: weft.dev/caller:dev
        imagePullPolicy: Never
        args: [get, --fail, "http://reviews.{HERE}:9080/reviews/1"]
"#
    )
}

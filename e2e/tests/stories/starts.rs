//! The first thing that an application does.

use std::time::Instant;

use crate::{
    canary::reviews,
    stage::{Stage, Told, ensure, eventually, seconds},
};

const HERE: &str = "story-starts";
const STARTS: u64 = 100;

/// A pod's application calls a service of the mesh in its first millisecond, a hundred times in
/// new pods. A pod that failed would fail the Job.
pub(crate) async fn no_early_connection_fails_in_a_hundred_starts(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.rolled_out(HERE).await?;
    let started = Instant::now();
    stage.apply(&job()).await?;
    // Ten at a time, as the Job starts them: a busy machine is slow, and still goes on.
    for wanted in (10..=STARTS).step_by(10) {
        eventually(&format!("{wanted} pods have started"), async || {
            let (succeeded, failed) = counts(stage).await?;
            ensure!(
                succeeded + failed >= wanted || failed > 0,
                "{succeeded} of {STARTS}"
            );
            Ok(())
        })
        .await?;
    }
    let (succeeded, failed) = counts(stage).await?;
    ensure!(
        failed == 0 && succeeded == STARTS,
        "the first call failed in {failed} pods, and was answered in {succeeded}: {}",
        what_they_said(stage).await
    );
    let took = seconds(started);
    stage.note(format!(
        "starts: {succeeded} of {STARTS} pods had their first call answered at once; {:.2} s each, ten at a time",
        took / STARTS as f32
    ));
    Ok(())
}

async fn counts(stage: &Stage) -> Told<(u64, u64)> {
    let job = stage.get(&["-n", HERE, "job", "early"]).await?;
    let count = |name: &str| job["status"][name].as_u64().unwrap_or(0);
    Ok((count("succeeded"), count("failed")))
}

async fn what_they_said(stage: &Stage) -> String {
    let args = [
        "-n",
        HERE,
        "get",
        "pods",
        "-l",
        "app=early",
        "--field-selector=status.phase=Failed",
        "-o",
        "name",
    ];
    let pods = stage.run(&args).await.unwrap_or_else(|error| error);
    let Some(first) = pods.lines().next() else {
        return "no failed pod is left".to_owned();
    };
    let args = ["-n", HERE, "logs", first, "--all-containers", "--tail=20"];
    stage.run(&args).await.unwrap_or_else(|error| error)
}

fn job() -> String {
    format!(
        r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: early, namespace: {HERE}}}
spec:
  completions: {STARTS}
  parallelism: 10
  backoffLimit: 0
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

//! Pods that come and go under load.

use std::collections::BTreeSet;

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-rollout";

pub(crate) async fn restarting_and_scaling_under_load_fails_no_request(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    eventually("the reviews answer", async || {
        reader.get(&url).await?.ok().map(|_| ())
    })
    .await?;

    let change = async {
        for args in [
            [
                "-n",
                HERE,
                "rollout",
                "restart",
                "deployment/reviews-v1",
                "deployment/reviews-v2",
            ]
            .as_slice(),
            &["-n", HERE, "scale", "deployment/reviews-v1", "--replicas=8"],
            &["-n", HERE, "scale", "deployment/reviews-v1", "--replicas=1"],
        ] {
            stage.run(args).await?;
            stage.rolled_out(HERE).await?;
        }
        Ok::<_, String>(())
    };
    let (load, change) = tokio::join!(reader.load(&url, 50, 60), change);
    change?;
    let load = load?;
    let requests = load.none_failed()?;
    let instances: BTreeSet<_> = load
        .calls
        .iter()
        .filter_map(|call| call.instance.as_ref())
        .collect();
    ensure!(
        instances.len() >= 8,
        "only {} pods answered: it was no rollout",
        instances.len()
    );
    stage.note(format!(
        "rollout: {requests} requests over {} pods that came and went, 0 failed, P99 {} ms",
        instances.len(),
        load.quantile(0.99)
    ));
    Ok(())
}

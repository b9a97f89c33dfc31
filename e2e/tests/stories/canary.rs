//! Moving traffic from one version to the next.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    caller::Caller,
    stage::{Stage, Told, ensure, eventually, file},
};

const HERE: &str = "story-canary";

pub(crate) async fn a_shift_under_load_fails_no_request(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(&weights(90, 10)).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    eventually("the reviews answer", async || {
        reader.get(&url).await?.ok().map(|_| ())
    })
    .await?;

    let shift = async {
        let pause = || tokio::time::sleep(Duration::from_secs(5));
        pause().await;
        let half = now();
        stage.apply(&weights(50, 50)).await?;
        pause().await;
        let all = now();
        stage.apply(&weights(0, 100)).await?;
        Ok::<_, String>((half, all))
    };
    let (load, shift) = tokio::join!(reader.load(&url, 100, 18), shift);
    let (load, (half, all)) = (load?, shift?);
    let requests = load.none_failed()?;

    let before = load.share("v2", 0, half);
    let between = load.share("v2", half + 1500, all);
    let after = load.share("v2", all + 1500, u64::MAX);
    // Of hundreds of requests each; five standard deviations and more.
    ensure!(
        (1.0..=20.0).contains(&before),
        "{before:.1} % instead of 10 %"
    );
    ensure!(
        (35.0..=65.0).contains(&between),
        "{between:.1} % instead of 50 %"
    );
    ensure!(after > 99.9, "{after:.1} % instead of 100 %");
    let last_v1 = load
        .calls
        .iter()
        .filter(|call| call.version.as_deref() == Some("v1"))
        .map(|call| call.at)
        .max()
        .unwrap_or(0);
    let effect = last_v1.saturating_sub(all);
    ensure!(
        effect < 1000,
        "the last request to v1 was sent {effect} ms after `kubectl apply` was started"
    );
    stage.note(format!(
        "canary: {requests} requests, 0 failed, P50 {} ms, P99 {} ms; {effect} ms from the start of `kubectl apply` to the last request by the old weights",
        load.quantile(0.5),
        load.quantile(0.99)
    ));
    Ok(())
}

/// In milliseconds of Unix time, as the client says when it sent a request.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.map_or(0, |since| since.as_millis())).unwrap_or(0)
}

/// The sample's reviews in another namespace.
pub(crate) fn reviews(namespace: &str) -> Told<String> {
    let sample = file("config/samples/bookstore/reviews.yaml")?;
    Ok(sample.replace("namespace: bookstore", &format!("namespace: {namespace}")))
}

fn weights(v1: u32, v2: u32) -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: reviews, namespace: {HERE}}}
spec:
  parentRefs: [{{kind: Service, name: reviews, port: 9080}}]
  http:
  - name: split
    backendRefs:
    - {{name: reviews, port: 9080, weight: {v1}, labels: {{version: v1}}}}
    - {{name: reviews, port: 9080, weight: {v2}, labels: {{version: v2}}}}
"#
    )
}

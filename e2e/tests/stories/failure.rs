//! Pods that are there no more, from one moment to the next.

use std::{cell::Cell, time::Duration};

use crate::{
    caller::Caller,
    canary::{now, reviews},
    stage::{Stage, Told, ensure, eventually, text},
};

const HERE: &str = "story-failure";

/// An answer takes this long, so that requests are under way at any moment.
const ANSWER_MS: u64 = 150;

/// POSTs that are answered before pods are killed: of five pods, each has had some.
const BEFORE: f64 = 150.0;

/// From the kernel's end of a process until its peers have heard of it.
const NEWS_MS: u64 = 250;

pub(crate) async fn killed_pods_fail_only_what_was_under_way_there(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&slow(&reviews(HERE)?)).await?;
    stage.apply(&retried()).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    let scale = ["-n", HERE, "scale", "deployment/reviews-v1", "--replicas=4"];
    stage.run(&scale).await?;
    stage.rolled_out(HERE).await?;
    let plain = format!("http://reviews.{HERE}:9080/reviews/1");
    let retried = format!("http://reviews.{HERE}:9080/reviews/retried");
    eventually("all pods answer", async || {
        let load = reader.load(&plain, 50, 1).await?;
        ensure!(load.instances().len() == 5, "{:?}", load.instances());
        Ok(())
    })
    .await?;

    let posted = async || {
        let label = format!(r#"route="{HERE}/reviews/others""#);
        reader.proxy_counts("weft_requests_total", &label).await
    };
    let before = posted().await?;
    let kill = async {
        eventually("every pod has had POSTs", async || {
            let posts = posted().await? - before;
            ensure!(posts >= BEFORE, "{posts}");
            Ok(())
        })
        .await?;
        let victims = two(stage).await?;
        let from = now();
        kill_all(stage, &victims).await?;
        Ok::<_, String>((from, now(), victims))
    };
    let ended = Cell::new(false);
    let kill = async {
        let told = kill.await;
        // The pods come back meanwhile.
        tokio::time::sleep(Duration::from_secs(5)).await;
        ended.set(true);
        told
    };
    let (killed, posts, gets) = tokio::join!(
        kill,
        reader.load_until(&ended, &plain, &["-X", "POST"], 50),
        reader.load_until(&ended, &retried, &[], 50),
    );
    let ((from, to, victims), posts, gets) = (killed?, posts?, gets?);
    let requests = gets.none_failed()?;

    let served = posts.calls.iter().filter(|call| {
        call.at < from
            && victims
                .iter()
                .any(|victim| call.instance.as_deref() == Some(victim))
    });
    ensure!(
        served.count() > 0,
        "{victims:?} served nobody before: killing them shows nothing"
    );
    let failed = posts.failed();
    for call in &failed {
        // Sent before the end of the pods was known, and not answered before it came.
        ensure!(
            call.at <= to + NEWS_MS && call.at + call.ms + NEWS_MS >= from,
            "a request that was not under way failed, sent {} ms after the first SIGKILL: {}",
            call.at.cast_signed() - from.cast_signed(),
            call.how()
        );
    }
    let under_way = posts
        .calls
        .iter()
        .filter(|call| call.at <= to + NEWS_MS && call.at + call.ms >= from);
    let under_way = under_way.count();
    stage.note(format!(
        "failure: 2 of 5 pods killed; of {under_way} POSTs under way {} failed, of {} others none; of {requests} GETs with retries none; P99 {} ms",
        failed.len(),
        posts.calls.len() - under_way,
        gets.quantile(0.99)
    ));
    Ok(())
}

/// The names of two pods.
async fn two(stage: &Stage) -> Told<Vec<String>> {
    let selector = ["-n", HERE, "pods", "-l", "version=v1"];
    let pods = stage.get(&selector).await?;
    let names = pods["items"].as_array().into_iter().flatten();
    let names: Vec<String> = names
        .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
        .take(2)
        .collect();
    ensure!(names.len() == 2, "there are no two pods");
    Ok(names)
}

/// SIGKILL for every process of the pods.
async fn kill_all(stage: &Stage, names: &[String]) -> Told {
    if stage.cluster().is_current() {
        let mut delete = vec!["-n", HERE, "delete", "pod", "--grace-period=0", "--force"];
        delete.extend(names.iter().map(String::as_str));
        return stage.run(&delete).await.map(drop);
    }
    let cluster = stage.cluster();
    let mut processes = cluster.processes("bookstore");
    processes.extend(cluster.processes("weft-proxy"));
    processes.retain(|process| names.contains(&process.pod));
    ensure!(
        processes.len() == 4,
        "of two pods there are {} processes",
        processes.len()
    );
    for process in processes {
        process.kill().map_err(text)?;
    }
    Ok(())
}

fn slow(manifest: &str) -> String {
    let delay =
        format!("        env:\n        - {{name: BOOKSTORE_DELAY, value: \"{ANSWER_MS}\"}}\n");
    manifest.replace("        env:\n", &delay)
}

fn retried() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: reviews, namespace: {HERE}}}
spec:
  parentRefs: [{{kind: Service, name: reviews, port: 9080}}]
  http:
  - name: retried
    matches: [{{path: {{type: Exact, value: /reviews/retried}}}}]
    retry: {{attempts: 3, retryOn: [connect-failure, refused-stream, reset-before-response, "502", "503"]}}
    backendRefs: [{{name: reviews, port: 9080}}]
  - name: others
    backendRefs: [{{name: reviews, port: 9080}}]
"#
    )
}

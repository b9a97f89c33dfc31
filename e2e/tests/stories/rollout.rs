//! Pods that come and go under load.

use std::{cell::Cell, time::Instant};

use serde_json::Value;

use crate::{
    caller::{Caller, Held},
    canary::reviews,
    stage::{Stage, Told, ensure, eventually, file, seconds},
};

const HERE: &str = "story-rollout";
const TWENTY: &str = "story-twenty-rollouts";

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

    let ended = Cell::new(false);
    let change = async {
        let both = ["deployment/reviews-v1", "deployment/reviews-v2"];
        let restart = ["-n", HERE, "rollout", "restart", both[0], both[1]];
        let scale = |replicas| ["-n", HERE, "scale", both[0], replicas];
        let done = async {
            stage.run(&restart).await?;
            stage.rolled_out(HERE).await?;
            for replicas in ["--replicas=8", "--replicas=1"] {
                stage.run(&scale(replicas)).await?;
                stage.rolled_out(HERE).await?;
            }
            Ok(())
        };
        let done = done.await;
        ended.set(true);
        done
    };
    let (change, gets, posts): (Told, _, _) = tokio::join!(
        change,
        reader.load_until(&ended, &url, &[], 40),
        reader.load_until(&ended, &url, &["-X", "POST"], 20),
    );
    change?;
    let (gets, posts) = (gets?, posts?);
    let requests = gets.none_failed()? + posts.none_failed()?;
    let instances = gets.instances();
    ensure!(
        instances.len() >= 8,
        "only {} pods answered: it was no rollout",
        instances.len()
    );
    stage.note(format!(
        "rollout: {requests} requests over {} pods that came and went, 0 failed, P99 {} ms",
        instances.len(),
        gets.quantile(0.99)
    ));
    Ok(())
}

/// Seven times all three Deployments at once. Requests with an answer each are lost never;
/// streams end with their pods and are opened again.
pub(crate) async fn twenty_rollouts_lose_no_unary_request(stage: &Stage) -> Told {
    stage.namespace(TWENTY, true).await?;
    stage.apply(&short_lived(&reviews(TWENTY)?)).await?;
    stage.apply(&short_lived(&ratings(TWENTY)?)).await?;
    let caller = Caller::create(stage, TWENTY, "reader").await?;
    stage.rolled_out(TWENTY).await?;
    let http = format!("http://reviews.{TWENTY}:9080/reviews/1");
    let grpc = format!("grpc://ratings.{TWENTY}:9090");
    let ws = format!("ws://reviews.{TWENTY}:9080/ws");
    eventually("both answer", async || {
        caller.get(&http).await?.ok()?;
        caller.get(&grpc).await?.ok().map(|_| ())
    })
    .await?;

    let ended = Cell::new(false);
    let started = Instant::now();
    let rollouts = async {
        let all = [
            "deployment/reviews-v1",
            "deployment/reviews-v2",
            "deployment/ratings",
        ];
        let mut told = Ok(0);
        for _ in 0..7 {
            let round = async {
                let mut restart = vec!["-n", TWENTY, "rollout", "restart"];
                restart.extend(all);
                stage.run(&restart).await?;
                stage.rolled_out(TWENTY).await
            };
            told = round.await.and(told.map(|rollouts| rollouts + all.len()));
            if told.is_err() {
                break;
            }
        }
        ended.set(true);
        told.map(|rollouts| (rollouts, seconds(started)))
    };
    let (rollouts, gets, posts, calls, streams, sockets): (Told<_>, _, _, _, _, _) = tokio::join!(
        rollouts,
        caller.load_until(&ended, &http, &[], 20),
        caller.load_until(&ended, &http, &["-X", "POST"], 20),
        caller.load_until(&ended, &grpc, &[], 20),
        caller.hold_until(&ended, &grpc, 4),
        caller.hold_until(&ended, &ws, 4),
    );
    let (rollouts, took) = rollouts?;
    let (gets, calls) = (gets?, calls?);
    let requests = gets.none_failed()? + posts?.none_failed()? + calls.none_failed()?;
    ensure!(
        gets.instances().len() >= 14 && calls.instances().len() >= 7,
        "{} and {} pods answered: they were no {rollouts} rollouts",
        gets.instances().len(),
        calls.instances().len()
    );
    stage.note(format!(
        "twenty rollouts: {rollouts} in {took:.0} s; {requests} requests (GET, POST, gRPC), 0 failed, {} tried again by the mesh, P99 {} ms",
        caller.proxy_counts("weft_retries_total", "").await?,
        gets.quantile(0.99).max(calls.quantile(0.99))
    ));
    stage.note(format!(
        "twenty rollouts: {}",
        slowest(&caller.proxy_log().await?)
    ));
    for (kind, parts) in [("gRPC streams", streams?), ("WebSockets", sockets?)] {
        stage.note(format!("twenty rollouts: {}", reopened(kind, &parts)?));
    }
    Ok(())
}

/// Where the slowest requests spent their time, as the caller's proxy has it.
fn slowest(log: &[Value]) -> String {
    // Until the head of the answer that was handed on; a stream goes on after that.
    let millis = |line: &Value| line["upstream_ms"].as_f64().unwrap_or(0.0);
    let mut requests: Vec<&Value> = log.iter().filter(|line| line["status"].is_u64()).collect();
    requests.sort_by(|a, b| millis(b).total_cmp(&millis(a)));
    let tried = |more: u64| {
        let by_attempts = requests.iter().filter(|line| line["attempts"] == more);
        format!("{} in {more} attempts", by_attempts.count())
    };
    let first: Vec<String> = requests
        .iter()
        .take(5)
        .map(|line| format!("{:.0} ms in {}", millis(line), line["attempts"]))
        .collect();
    format!(
        "the caller's proxy counts {}; its slowest: {}",
        [1, 2, 3, 4].map(tried).join(", "),
        first.join("; ")
    )
}

fn reopened(kind: &str, parts: &[Held]) -> Told<String> {
    let (mut cut, mut messages) = (0, 0);
    let mut in_vain = Vec::new();
    for part in parts {
        part.all_there_at_the_end()?;
        cut += part.cut();
        messages += part.messages();
        in_vain.extend(part.not_opened());
    }
    let first = in_vain.first().and_then(|it| it.error.as_deref());
    Ok(format!(
        "4 {kind}: {cut} times one ended with its pod and was opened again; attempts in vain: {} {}; {messages} messages",
        in_vain.len(),
        first.unwrap_or_default()
    ))
}

/// The sample's ratings in another namespace.
pub(crate) fn ratings(namespace: &str) -> Told<String> {
    let sample = file("config/samples/bookstore/ratings.yaml")?;
    Ok(sample.replace("namespace: bookstore", &format!("namespace: {namespace}")))
}

/// Pods are asked earlier whether they are ready, and are gone sooner: the services let streams
/// go on for ten seconds.
fn short_lived(manifest: &str) -> String {
    manifest
        .replace("periodSeconds: 2", "periodSeconds: 1")
        .replace(
            "      containers:\n",
            "      terminationGracePeriodSeconds: 12\n      containers:\n",
        )
}

//! Certificates that live for a minute.

use std::{
    cell::Cell,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually, file, seconds, text},
};

const HERE: &str = "story-rotation";
const ROTATIONS: usize = 5;

/// Each takes 40 seconds: an identity is issued again after two thirds of its life, at most.
const BOUND: Duration = Duration::from_secs(360);

/// A connection that is open through several rotations.
const TALK: u32 = 170;

pub(crate) async fn certificates_rotate_under_load_and_no_request_fails(stage: &Stage) -> Told {
    if stage.cluster().is_current() {
        return stage.not_told(
            "identities of a minute need a kubelet that looks at Secrets more often than usual",
        );
    }
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    let ledger = file("config/samples/bookstore/ledger.yaml")?;
    stage
        .apply(&ledger.replace("namespace: bookstore", &format!("namespace: {HERE}")))
        .await?;
    stage.apply(&strict()).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    let ledger = format!("ledger.{HERE}:7000");
    eventually("both services answer", async || {
        reader.get(&url).await?.ok()?;
        greeted(&reader, &ledger).await
    })
    .await?;

    let over = Cell::new(false);
    let load = async {
        let mut requests = 0;
        while !over.get() {
            requests += reader.load(&url, 25, 20).await?.none_failed()?;
        }
        Ok::<_, String>(requests)
    };
    let rotations = async {
        let seen = rotations(stage, &reader, &ledger).await;
        over.set(true);
        seen
    };
    let long = async {
        let from = Instant::now();
        let said = reader.talk(&ledger, TALK).await?;
        ensure!(
            said["error"].is_null(),
            "an open connection was cut: {said}"
        );
        let lines = said["lines"].as_u64().unwrap_or(0);
        ensure!(lines + 5 >= u64::from(TALK), "only {lines} lines: {said}");
        Ok((lines, from.elapsed()))
    };
    let (requests, seen, long) = tokio::join!(load, rotations, long);
    let (seen, requests, (lines, open)) = (seen?, requests?, long?);
    stage.note(format!(
        "rotation: {ROTATIONS} rotations of both sides' certificates in {:.0} s, {requests} requests, 0 failed; {} new handshakes, one or more in each period, 0 failed; a connection open for {:.0} s echoed {lines} of {lines} lines",
        seen.took,
        seen.handshakes,
        open.as_secs_f32(),
    ));
    Ok(())
}

/// What was seen of the certificates.
struct Seen {
    took: f32,
    handshakes: u64,
}

/// Looks at both proxies until each has had so many certificates, with a new connection in every
/// period of each.
async fn rotations(stage: &Stage, reader: &Caller<'_>, ledger: &str) -> Told<Seen> {
    let (client, server) = (
        pod(stage, "app=reader").await?,
        pod(stage, "app.kubernetes.io/name=ledger").await?,
    );
    let started = Instant::now();
    let before = Metrics::of(stage, &server).await?;
    // The end of each certificate that was in use, of either side.
    let mut ends: [BTreeSet<u64>; 2] = Default::default();
    while ends.iter().any(|ends| ends.len() <= ROTATIONS) {
        let mut changed = false;
        for (pod, ends) in [&client, &server].into_iter().zip(&mut ends) {
            changed |= ends.insert(Metrics::of(stage, pod).await?.certificate_ends()?);
        }
        if changed {
            greeted(reader, ledger).await?;
        }
        ensure!(
            started.elapsed() < BOUND,
            "only {} and {} certificates within {BOUND:?}",
            ends[0].len(),
            ends[1].len()
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let after = Metrics::of(stage, &server).await?;
    let failed = |metrics: &Metrics| metrics.handshakes() - metrics.handshakes_that("success");
    ensure!(
        failed(&after) == failed(&before),
        "handshakes failed: {}",
        after.lines("weft_tls_handshakes_total")
    );
    let handshakes = after.handshakes_that("success") - before.handshakes_that("success");
    ensure!(
        handshakes >= ROTATIONS as u64,
        "only {handshakes} new handshakes in {ROTATIONS} periods"
    );
    Ok(Seen {
        took: seconds(started),
        handshakes,
    })
}

/// Each is a connection of its own between the proxies, with a handshake in which both sides show
/// the certificate of the moment.
async fn greeted(reader: &Caller<'_>, ledger: &str) -> Told {
    let said = reader.tcp(ledger).await?;
    let greeting = said["greeting"].as_str().unwrap_or_default();
    ensure!(greeting.starts_with("220 ledger"), "no greeting: {said}");
    Ok(())
}

async fn pod(stage: &Stage, label: &str) -> Told<String> {
    let pods = stage.get(&["-n", HERE, "pods", "-l", label]).await?;
    let name = pods["items"][0]["metadata"]["name"].as_str();
    name.map(str::to_owned)
        .ok_or_else(|| format!("no pod has {label}"))
}

/// What a proxy says of itself.
struct Metrics(String);

impl Metrics {
    async fn of(stage: &Stage, pod: &str) -> Told<Self> {
        let path = format!("/api/v1/namespaces/{HERE}/pods/{pod}:15020/proxy/metrics");
        Ok(Self(stage.run(&["get", "--raw", &path]).await?))
    }

    fn lines(&self, name: &str) -> String {
        let of_it = self.0.lines().filter(|line| line.starts_with(name));
        of_it.collect::<Vec<_>>().join("\n")
    }

    fn certificate_ends(&self) -> Told<u64> {
        let line = self.lines("weft_cert_expiry_timestamp_seconds");
        let value = line.rsplit(' ').next().unwrap_or_default();
        value.parse().map_err(text)
    }

    fn handshakes(&self) -> u64 {
        self.handshakes_that("")
    }

    fn handshakes_that(&self, result: &str) -> u64 {
        self.lines("weft_tls_handshakes_total{")
            .lines()
            .filter(|line| line.contains(r#"direction="inbound""#) && line.contains(result))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

fn strict() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: strict, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Namespace, name: {HERE}}}]
  mtls: {{mode: Strict}}
"#
    )
}

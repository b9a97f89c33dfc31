//! Moving traffic from one version to the next.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{
    caller::{Caller, Load},
    progress::Progress,
    stage::{Stage, Told, ensure, eventually, file},
};

const HERE: &str = "story-canary";

/// Who calls the reviews: as many proxies have the route.
const CALLERS: [&str; 3] = ["reader", "editor", "archive"];

/// Weights of v1, shift after shift.
const SHIFTS: [u32; 6] = [50, 0, 90, 50, 0, 90];

/// One shift, and how long what took.
struct Shift {
    v1: u32,
    /// When `kubectl apply` was started, in milliseconds of Unix time.
    at: u64,
    /// From then until every proxy was said to have it.
    programmed: Duration,
}

/// The time that an owner waits: from the start of `kubectl apply` to "active on 3 of 3 proxies".
pub(crate) async fn a_shift_under_load_fails_no_request(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(&weights(90)).await?;
    let mut callers = Vec::new();
    for name in CALLERS {
        callers.push(Caller::create(stage, HERE, name).await?);
    }
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    for caller in &callers {
        eventually("the reviews answer", async || {
            caller.get(&url).await?.ok().map(|_| ())
        })
        .await?;
    }
    let [reader, ..] = callers.as_slice() else {
        return Err("nobody calls".to_owned());
    };

    let mut progress = Progress::follow(stage, HERE, "virtualroute", "reviews")?;
    progress.until_all_of(CALLERS.len()).await?;
    let shifts = async {
        let mut shifts = Vec::new();
        for v1 in SHIFTS {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let (started, at) = (Instant::now(), now());
            stage.apply(&weights(v1)).await?;
            let told = progress.until_next(CALLERS.len()).await?;
            shifts.push(Shift {
                v1,
                at,
                programmed: told.saturating_duration_since(started),
            });
        }
        Ok::<_, String>(shifts)
    };
    let (load, shifts) = tokio::join!(reader.load(&url, 100, 30), shifts);
    let (load, shifts) = (load?, shifts?);
    let requests = load.none_failed()?;

    let mut seen = Vec::new();
    for (index, shift) in shifts.iter().enumerate() {
        let end = shifts.get(index + 1).map_or(u64::MAX, |next| next.at);
        let told = shift.at + millis(shift.programmed);
        // What a status says is so: from then on the new weights decide. A request that was sent
        // at that very moment may have been decided before.
        let share = load.share("v1", told + 50, end);
        // Of some two hundred requests each: five standard deviations and more.
        let expected = match shift.v1 {
            0 => 0.0..=0.0,
            50 => 30.0..=70.0,
            _ => 75.0..=100.0,
        };
        ensure!(
            expected.contains(&share),
            "{share:.1} % of the requests went to v1 instead of {} %, after every proxy was said to have that",
            shift.v1
        );
        seen.extend(first_effect(&load, shift, end));
    }
    let mut programmed: Vec<u64> = shifts.iter().map(|s| millis(s.programmed)).collect();
    programmed.sort_unstable();
    seen.sort_unstable();
    let (median, effect) = (middle(&programmed), middle(&seen));
    stage.note(format!(
        "canary: {requests} requests, 0 failed, P50 {} ms, P99 {} ms; from the start of `kubectl apply` to all of {} proxies active: median {median} ms of {programmed:?}; to the first request by the new weights: median {effect} ms of {seen:?}",
        load.quantile(0.5),
        load.quantile(0.99),
        CALLERS.len(),
    ));
    ensure!(
        median < 1000,
        "the median from `kubectl apply` to all proxies active is {median} ms: {programmed:?}"
    );
    Ok(())
}

/// How long after a shift's start traffic was seen to follow it, where that can be told from one
/// request: the last one by v1, or the first.
fn first_effect(load: &Load, shift: &Shift, end: u64) -> Option<u64> {
    let mut by_v1 = load
        .calls
        .iter()
        .filter(|call| (shift.at..end).contains(&call.at) && call.version.as_deref() == Some("v1"));
    let at = match shift.v1 {
        0 => by_v1.next_back().map_or(shift.at, |call| call.at),
        90 => by_v1.next()?.at,
        _ => return None,
    };
    Some(at - shift.at)
}

fn middle(sorted: &[u64]) -> u64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// In milliseconds of Unix time, as the client says when it sent a request.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    millis(since.unwrap_or_default())
}

/// The sample's reviews in another namespace.
pub(crate) fn reviews(namespace: &str) -> Told<String> {
    let sample = file("config/samples/bookstore/reviews.yaml")?;
    Ok(sample.replace("namespace: bookstore", &format!("namespace: {namespace}")))
}

fn weights(v1: u32) -> String {
    split(HERE, v1)
}

/// A route that sends so many percent to v1, and the rest to v2.
pub(crate) fn split(namespace: &str, v1: u32) -> String {
    let v2 = 100 - v1;
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: reviews, namespace: {namespace}}}
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

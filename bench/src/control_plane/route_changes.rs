use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{sleep, sleep_until, timeout};

use super::{
    caller::Caller,
    measured::{RouteChanges, Spread},
    mesh::{route, weft},
    operator::Operator,
    published::Published,
    stage::Stage,
};
use crate::{
    BenchError,
    lowering::median,
    manifests::{name, namespace},
};

/// Between two changes.
const EVERY: Duration = Duration::from_millis(100);

/// Changes whose writes are counted. The middle one counts: once a minute the operator looks at
/// every status.
const ALONE: usize = 9;

/// A change's status follows within this time.
const STATUS: Duration = Duration::from_millis(600);

/// Changes whose processor time is taken together. The middle one of the groups counts: what the
/// operator does once a minute falls into one of them.
const GROUP: usize = 10;

/// Seconds in which the operator is watched doing nothing; the middle one counts.
const IDLE: usize = 5;

/// A change takes no longer.
const BOUND: Duration = Duration::from_secs(60);

/// Changes the route of the first service, and waits each time until the proxy serves it.
pub(super) async fn measure(
    stage: &Stage,
    operator: &Operator,
    caller: &Caller,
    changes: usize,
) -> Result<RouteChanges, BenchError> {
    let (namespace, name) = (namespace(0), name(0));
    let path = format!("{}/{name}", weft(&namespace, "virtualroutes"));
    let document = format!("service.{namespace}.{name}");
    let mut published = Published::watch(stage).await?;
    let mark = |number: usize| format!("edition {}-{number:05}", operator.pid());
    // Far enough apart that each has its status; the first call makes the proxy load the service.
    let mut writes = Vec::new();
    for number in 0..ALONE {
        let counted = operator.counted();
        change(stage, &path, &mark(number)).await?;
        caller.until_serves(&mark(number)).await?;
        sleep(STATUS).await;
        let now = operator.counted();
        if now.failures > 0 {
            return Err(operator.error("could not write"));
        }
        writes.push((
            now.documents - counted.documents,
            now.statuses - counted.statuses,
        ));
    }
    writes.sort_unstable();
    let (documents, statuses) = writes.get(ALONE / 2).copied().unwrap_or_default();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let before = operator.cpu();
        sleep(Duration::from_secs(1)).await;
        idle.push(operator.cpu() - before);
    }
    let idle = median(idle).as_secs_f64();

    let (mut shown, mut active, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let mut group = (operator.cpu(), Instant::now());
    for number in 1..=changes {
        let mark = mark(100 + number);
        let began = Instant::now();
        change(stage, &path, &mark).await?;
        let both = async {
            tokio::try_join!(
                published.until_says(&document, &mark),
                caller.until_serves(&mark)
            )
        };
        let (stored, served) = timeout(BOUND, both)
            .await
            .map_err(|_| operator.error("published no change within a minute"))??;
        shown.push(stored - began);
        active.push(served - began);
        sleep_until((began + EVERY).into()).await;
        if number % GROUP == 0 {
            let (cpu, at) = (operator.cpu(), Instant::now());
            let others = (at - group.1).mul_f64(idle);
            let own = (cpu - group.0).saturating_sub(others);
            groups.push(own.div_f64(GROUP as f64));
            group = (cpu, at);
        }
    }
    Ok(RouteChanges {
        changes,
        published: Spread::of(shown),
        active: Spread::of(active),
        cpu_ms: median(groups).as_secs_f64() * 1000.0,
        idle_cpu: idle,
        documents,
        statuses,
    })
}

/// Gives the first service's route another edition.
pub(super) async fn change(stage: &Stage, path: &str, edition: &str) -> Result<(), BenchError> {
    stage
        .requests
        .merge(path, &json!({"spec": route(0, edition)}))
        .await
}

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    measured::{EndpointChanges, Spread},
    mesh::{Mesh, slices},
    operator::Operator,
    published::Published,
    stage::Stage,
};
use crate::{
    BenchError, cpu,
    manifests::{name, namespace},
};

/// Changes per second.
const RATE: u32 = 100;

/// Everything is published this long after the last change.
const BOUND: Duration = Duration::from_secs(60);

/// An endpoint of another service becomes ready or unready, [`RATE`] times a second: what a rollout
/// mostly consists of.
pub(super) async fn measure(
    stage: &Stage,
    operator: &Operator,
    mesh: &mut Mesh<'_>,
    during: Duration,
) -> Result<EndpointChanges, BenchError> {
    let mut published = Published::watch(stage).await?;
    let (counted, used) = (operator.counted(), operator.cpu());
    let api_used = cpu::exact(stage.api_server());
    let every = Duration::from_secs(1) / RATE;
    let count = usize::try_from(during.as_millis() / every.as_millis()).unwrap_or(0);
    let began = Instant::now();
    let mut requests = JoinSet::new();
    let mut waiting: HashMap<String, Instant> = HashMap::new();
    let (mut lags, mut sent) = (Vec::with_capacity(count), 0);
    while lags.len() < count {
        let due = began + every * u32::try_from(sent).unwrap_or(u32::MAX);
        tokio::select! {
            () = sleep_until(due.into()), if sent < count => {
                let index = sent % mesh.services();
                let ready = mesh.flip(index);
                let document = format!("endpoints.{}.{}", namespace(index), name(index));
                if waiting.insert(document.clone(), due).is_some() {
                    return Err(operator.error(format!("{document} is not published after a whole round")));
                }
                let slice = format!("{}/{}-1", slices(&namespace(index)), name(index));
                let all = stage.requests.clone();
                requests.spawn(async move {
                    let path = "/endpoints/0/conditions/ready";
                    all.edit(&slice, &json!([{"op": "replace", "path": path, "value": ready}])).await
                });
                sent += 1;
            }
            seen = timeout(BOUND, published.next()) => {
                let seen = seen.map_err(|_| operator.error("publishes no endpoints"))??;
                if let Some(due) = waiting.remove(&seen.name) {
                    lags.push(seen.at - due);
                }
            }
            Some(done) = requests.join_next() => {
                done.map_err(BenchError::api("a change of endpoints"))??;
            }
        }
    }
    let took = began.elapsed();
    let now = operator.counted();
    Ok(EndpointChanges {
        changes: count,
        per_second: count as f64 / took.as_secs_f64(),
        lag: Spread::of(lags),
        cpu: (operator.cpu() - used).as_secs_f64() / took.as_secs_f64(),
        api_server_cpu: (cpu::exact(stage.api_server()) - api_used).as_secs_f64()
            / took.as_secs_f64(),
        documents: (now.documents - counted.documents) as f64 / count as f64,
    })
}

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{
    measured::{Cold, Warm},
    operator::{Counted, Operator},
};
use crate::BenchError;

/// The first full lowering takes no longer, or something is wrong.
const READY: Duration = Duration::from_secs(240);

/// A new leader has made up its mind about proxies that are silent after 10 s; by then everything
/// is written that a start brings with it.
const DECIDED: Duration = Duration::from_secs(11);

/// From the start of the process until everything is published.
pub(super) async fn cold(operator: &Operator) -> Result<Cold, BenchError> {
    let mut stored = (0, Duration::ZERO);
    until_ready(operator, |counted, at| {
        if counted.documents > stored.0 {
            stored = (counted.documents, at);
        }
    })
    .await?;
    let took = operator.began.elapsed();
    let cpu = operator.cpu();
    let counted = operator.counted();
    if counted.documents > stored.0 {
        stored = (counted.documents, took);
    }
    if counted.failures > 0 {
        return Err(operator.error(format!("{} writes failed", counted.failures)));
    }
    Ok(Cold {
        seconds: stored.1.as_secs_f64(),
        told_seconds: took.as_secs_f64(),
        documents: counted.documents,
        statuses: counted.statuses,
        cpu_seconds: cpu.as_secs_f64(),
    })
}

/// A start that finds everything published: what it writes, it need not have written.
pub(super) async fn warm(operator: &Operator) -> Result<Warm, BenchError> {
    until_ready(operator, |_, _| {}).await?;
    let took = operator.began.elapsed();
    let cpu = operator.cpu();
    let counted = until_quiet(operator).await?;
    Ok(Warm {
        seconds: took.as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        writes: counted.writes(),
    })
}

/// Waits until nothing is left to write.
pub(super) async fn until_quiet(operator: &Operator) -> Result<Counted, BenchError> {
    let began = Instant::now();
    let mut last = (operator.counted(), Instant::now());
    while operator.began.elapsed() < DECIDED || last.1.elapsed() < Duration::from_secs(2) {
        sleep(Duration::from_millis(100)).await;
        let counted = operator.counted();
        if counted != last.0 {
            last = (counted, Instant::now());
        }
        if began.elapsed() > READY {
            return Err(operator.error("writes for ever"));
        }
    }
    Ok(last.0)
}

/// Waits for readiness, and shows meanwhile what was counted when.
async fn until_ready(
    operator: &Operator,
    mut look: impl FnMut(Counted, Duration),
) -> Result<(), BenchError> {
    while !operator.is_ready() {
        look(operator.counted(), operator.began.elapsed());
        if operator.began.elapsed() > READY {
            return Err(operator.error("has not published everything within 4 minutes"));
        }
        if operator.has_ended() {
            return Err(operator.error("ended early"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

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
    until_ready(operator).await?;
    let took = operator.began.elapsed();
    let cpu = operator.cpu();
    let counted = operator.counted();
    if counted.failures > 0 {
        return Err(operator.error(format!("{} writes failed", counted.failures)));
    }
    Ok(Cold {
        seconds: took.as_secs_f64(),
        documents: counted.documents,
        statuses: counted.statuses,
        cpu_seconds: cpu.as_secs_f64(),
    })
}

/// A start that finds everything published: what it writes, it need not have written.
pub(super) async fn warm(operator: &Operator) -> Result<Warm, BenchError> {
    until_ready(operator).await?;
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

async fn until_ready(operator: &Operator) -> Result<(), BenchError> {
    while !operator.is_ready() {
        if operator.began.elapsed() > READY {
            return Err(operator.error("has not published everything within 4 minutes"));
        }
        if operator.has_ended() {
            return Err(operator.error("ended early"));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

//! At a steady rate, whatever comes back: a response's time counts from the moment at which its
//! request should have been sent, so that a stall is seen by every request that it delays
//! (coordinated omission, as Gil Tene calls it).

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::exchange::Exchange;

/// Microseconds, corrected for coordinated omission.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Half of the responses were faster.
    pub p50: f64,
    /// Of a hundred, all but one.
    pub p99: f64,
    /// Of a thousand, all but one.
    pub p999: f64,
    /// Responses.
    pub responses: u64,
    /// Requests without a good response.
    pub failed: u64,
    /// Of them, those whose connection was closed under them.
    #[serde(default)]
    pub closed: u64,
}

/// A steady rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests per second, over all connections.
    pub rate: u32,
    /// Connections, each with a thread.
    pub connections: u32,
    /// How long.
    pub time: Duration,
}

/// Sends at that pace.
pub fn send(address: SocketAddr, host: &str, pace: Pace) -> Latency {
    let connections = pace.connections.max(1);
    let between = Duration::from_secs(1) * connections / pace.rate.max(1);
    // Time to connect, before the first is due.
    let start = Instant::now() + Duration::from_millis(200);
    let results: Vec<(Histogram<u64>, u64, u64)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                let first = start + between * number / connections;
                scope.spawn(move || one(address, host, first, between, start + pace.time))
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let (mut all, mut failed, mut closed) = (histogram(), 0, 0);
    for (histogram, failures, closures) in results {
        // Both have the same bounds: it cannot fail.
        let _ = all.add(&histogram);
        failed += failures;
        closed += closures;
    }
    let at = |quantile: f64| all.value_at_quantile(quantile) as f64 / 1000.0;
    Latency {
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
        responses: all.len(),
        failed,
        closed,
    }
}

/// Nanoseconds up to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).unwrap_or_else(|_| {
        unreachable!("the bounds are right: the lower is at least 1, the upper twice that")
    })
}

fn one(
    address: SocketAddr,
    host: &str,
    first: Instant,
    between: Duration,
    end: Instant,
) -> (Histogram<u64>, u64, u64) {
    let (mut times, mut failed, mut closed) = (histogram(), 0, 0);
    let mut connection = None;
    let mut due = first;
    while due < end {
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        }
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => Exchange::open(address, host),
        };
        let sent = open.and_then(|mut open| open.get().map(|()| open));
        match sent {
            Ok(open) => {
                connection = Some(open);
                let took = due.elapsed().as_nanos();
                times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            }
            Err(error) => {
                failed += 1;
                closed += u64::from(error.kind() != std::io::ErrorKind::InvalidData);
            }
        }
        due += between;
    }
    (times, failed, closed)
}

#[cfg(test)]
mod tests;

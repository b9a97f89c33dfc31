use std::{net::SocketAddr, process::Command};

use super::Saturated;
use crate::{BenchError, running::Core, tools::Tools};

/// Sends for `seconds` over `connections`.
pub fn send(
    tools: &Tools,
    address: SocketAddr,
    host: &str,
    tls: bool,
    connections: u32,
    seconds: u32,
) -> Result<Saturated, BenchError> {
    let scheme = if tls { "https" } else { "http" };
    let mut command: Command = Core::Others.pinned(&tools.system("wrk")?);
    command.args(["-t", "1", "-c", &connections.to_string()]);
    command.args(["-d", &format!("{seconds}s"), "--timeout", "20s"]);
    command.arg("-H").arg(format!("Host: {host}"));
    command.arg(format!("{scheme}://{address}/"));
    let output = command.output().map_err(BenchError::file("wrk"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).ok_or_else(|| BenchError::Process {
        program: "wrk".to_owned(),
        reason: format!("had no response from {address}"),
        log: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    })
}

/// Reads what wrk prints.
fn read(text: &str) -> Option<Saturated> {
    let mut seen = Saturated::default();
    for line in text.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            seen.requests = count.parse().ok()?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            seen.per_second = rate.trim().parse().ok()?;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            seen.failed += count.trim().parse::<u64>().ok()?;
        } else if let Some(errors) = line.strip_prefix("Socket errors:") {
            // connect 0, read 0, write 0, timeout 0
            let numbers = errors
                .split([' ', ','])
                .filter_map(|word| word.parse::<u64>().ok());
            seen.failed += numbers.sum::<u64>();
        }
    }
    (seen.requests > 0).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 4s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.41ms  301.05us   9.78ms   89.91%
    Req/Sec    45.65k     2.06k   48.93k    80.00%
  181670 requests in 4.00s, 217.29MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 12
Requests/sec:  45397.66
Transfer/sec:     54.30MB
";

    #[test]
    fn what_failed_is_counted_and_not_only_what_went_well() {
        let expected = Saturated {
            requests: 181_670,
            failed: 16,
            per_second: 45_397.66,
        };
        assert_eq!(read(SAID), Some(expected));
        assert_eq!(
            read("unable to connect to 127.0.0.1:8080 Connection refused"),
            None
        );
    }
}

use std::{net::SocketAddr, path::Path, process::Command};

use super::{Saturated, grpc, messages::Talk};
use crate::{BenchError, running::Core, tools::Tools};

/// Sends over `talk.connections` with `talk.streams` requests under way on each. `message`: a file
/// with what a call of gRPC says; without one it is GET.
pub fn send(
    tools: &Tools,
    address: SocketAddr,
    host: &str,
    talk: Talk,
    message: Option<&Path>,
) -> Result<Saturated, BenchError> {
    let Talk {
        connections,
        streams,
        time,
    } = talk;
    let mut command: Command = Core::Others.pinned(&tools.system("h2load")?);
    command.args(["-t", "1", "-c", &connections.to_string()]);
    command.args([
        "-m",
        &streams.to_string(),
        "-D",
        &time.as_secs().to_string(),
    ]);
    command.arg("-H").arg(format!(":authority: {host}"));
    let mut path = "/";
    if let Some(message) = message {
        path = grpc::UNARY;
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
        command.arg("-d").arg(message);
    }
    command.arg(format!("http://{address}{path}"));
    let output = command.output().map_err(BenchError::file("h2load"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).ok_or_else(|| BenchError::Process {
        program: "h2load".to_owned(),
        reason: format!("had no response from {address}"),
        log: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    })
}

/// Reads what h2load prints.
fn read(text: &str) -> Option<Saturated> {
    let mut seen = Saturated::default();
    let number = |words: &str, before: &str| -> Option<u64> {
        let (front, _) = words.split_once(before)?;
        front
            .rsplit([' ', ','])
            .find(|word| !word.is_empty())?
            .parse()
            .ok()
    };
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("finished in ") {
            // finished in 4.00s, 51234.50 req/s, 53.21MB/s
            let (front, _) = rest.split_once(" req/s")?;
            seen.per_second = front.rsplit(' ').next()?.parse().ok()?;
        } else if let Some(rest) = line.strip_prefix("status codes: ") {
            // status codes: 204938 2xx, 0 3xx, 0 4xx, 0 5xx
            seen.requests = number(rest, " 2xx")?;
            for class in [" 3xx", " 4xx", " 5xx"] {
                seen.failed += number(rest, class)?;
            }
        } else if let Some(rest) = line.strip_prefix("requests: ") {
            // What was under way when the time was over is not counted as failed.
            seen.failed += number(rest, " errored")? + number(rest, " timeout")?;
        }
    }
    (seen.requests > 0).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "finished in 4.00s, 51234.50 req/s, 53.21MB/s
requests: 204938 total, 205002 started, 204938 done, 204930 succeeded, 8 failed, 3 errored, 1 timeout
status codes: 204930 2xx, 0 3xx, 2 4xx, 5 5xx
traffic: 212.84MB (223175482) total, 2.74MB (2869132) headers (space savings 91.00%)
";

    #[test]
    fn what_failed_is_counted_and_not_only_what_went_well() {
        let expected = Saturated {
            requests: 204_930,
            failed: 11,
            per_second: 51_234.5,
        };
        assert_eq!(read(SAID), Some(expected));
    }
}

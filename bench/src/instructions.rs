//! User instructions of a request, counted by callgrind: far steadier than time on a machine that
//! others use too, so it is what a regression is measured by.
//!
//! A set-up runs twice, with N and with 2 N requests; the difference, divided by N, is a request.
//! Start, configuration, connections and the end cancel out.

/// Runs under callgrind.
pub mod callgrind;

/// What is held on to.
pub mod record;

use std::{collections::BTreeMap, path::PathBuf};

use crate::{BenchError, hop::Peer, scenario::Scenario, stage::Stage};

/// What is counted; valgrind does not run Envoy.
pub const SUBJECTS: [(&str, Scenario, Peer); 10] = {
    use Peer::{Copy, Haproxy, Hyper, Nginx, Pingora, Weft, WeftInbound};
    use Scenario::{MtlsPairHttp1, PlainHttp1};
    [
        ("plain-http1/weft", PlainHttp1, Weft),
        ("plain-http1/weft-inbound", PlainHttp1, WeftInbound),
        ("plain-http1/haproxy", PlainHttp1, Haproxy),
        ("plain-http1/nginx", PlainHttp1, Nginx),
        ("plain-http1/hyper", PlainHttp1, Hyper),
        ("plain-http1/pingora", PlainHttp1, Pingora),
        ("mtls-pair-http1/weft", MtlsPairHttp1, Weft),
        ("mtls-pair-http1/haproxy", MtlsPairHttp1, Haproxy),
        ("mtls-pair-http1/hyper", MtlsPairHttp1, Hyper),
        ("mtls-pair-http1/copy", MtlsPairHttp1, Copy),
    ]
};

/// Weft itself: what there is a record of.
fn is_weft(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|peer| peer.starts_with("weft"))
}

/// How it is counted.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// N: the difference of N and 2 N requests is taken.
    #[arg(long, default_value_t = 4000)]
    pub requests: u32,
    /// Connections.
    #[arg(long, default_value_t = 8)]
    pub connections: u32,
    /// The record: user instructions per request, by profile and by what was counted.
    #[arg(long, default_value = "bench/instructions.json")]
    pub record: PathBuf,
    /// The profile under which the programs were built.
    #[arg(long, default_value = "release")]
    pub profile: String,
    /// Count Weft alone and fail where it needs more than the record by 5 %.
    #[arg(long, conflicts_with = "write")]
    pub check: bool,
    /// Write the record.
    #[arg(long)]
    pub write: bool,
    /// Only what contains this.
    #[arg(long, default_value = "")]
    pub only: String,
}

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerRequest {
    /// User instructions.
    pub instructions: u64,
    /// Calls of the allocator for memory.
    pub allocations: f64,
}

/// Counts everything that is asked for.
pub fn measure(
    stage: &Stage,
    options: &Options,
) -> Result<BTreeMap<String, PerRequest>, BenchError> {
    let mut seen = BTreeMap::new();
    for (name, scenario, peer) in SUBJECTS {
        // The record is of Weft alone.
        let is_asked = is_weft(name) || !(options.check || options.write);
        if !is_asked || !name.contains(&options.only) || stage.tools.lacks(peer) {
            continue;
        }
        let run = |requests| callgrind::run(stage, scenario, peer, options.connections, requests);
        let (first, second) = (run(options.requests)?, run(options.requests * 2)?);
        let requests = u64::from(options.requests.max(1));
        let each = PerRequest {
            instructions: second.instructions.saturating_sub(first.instructions) / requests,
            allocations: second.allocations.saturating_sub(first.allocations) as f64
                / requests as f64,
        };
        eprintln!(
            "{name}: {} user instructions and {:.1} allocations per request",
            each.instructions, each.allocations
        );
        seen.insert(name.to_owned(), each);
    }
    Ok(seen)
}

#[cfg(test)]
mod tests;

//! User instructions of a request, counted by callgrind: far steadier than time on a machine that
//! others use too, so it is what a regression is measured by.
//!
//! A set-up runs twice, with N and with 2 N requests; the difference, divided by N, is a request.
//! Start, configuration, connections and the end cancel out.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::{
    BenchError,
    hop::Peer,
    load::counted,
    running::Core,
    scenario::{Scenario, Stage},
};

/// What is counted.
pub const SUBJECTS: [(&str, Scenario, Peer); 5] = [
    ("plain-http1/weft", Scenario::PlainHttp1, Peer::Weft),
    (
        "plain-http1/weft-inbound",
        Scenario::PlainHttp1,
        Peer::WeftInbound,
    ),
    ("plain-http1/hyper", Scenario::PlainHttp1, Peer::Hyper),
    ("mtls-pair-http1/weft", Scenario::MtlsPairHttp1, Peer::Weft),
    (
        "mtls-pair-http1/hyper",
        Scenario::MtlsPairHttp1,
        Peer::Hyper,
    ),
];

/// Counted in a check as well: Weft itself.
fn is_weft(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|peer| peer.starts_with("weft"))
}

/// How it is counted.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// N: the difference of N and 2 N requests is taken.
    #[arg(long, default_value_t = 3000)]
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

/// The committed figures: profile, then subject, then user instructions per request.
pub type Record = BTreeMap<String, BTreeMap<String, u64>>;

/// More than the record by this much is a regression; less by it asks for a new record.
const TOLERANCE_PER_CENT: u64 = 5;

/// Counts everything that is asked for.
pub fn measure(stage: &Stage, options: &Options) -> Result<BTreeMap<String, u64>, BenchError> {
    let mut seen = BTreeMap::new();
    for (name, scenario, peer) in SUBJECTS {
        if (options.check && !is_weft(name)) || !name.contains(&options.only) {
            continue;
        }
        let count = per_request(stage, scenario, peer, options)?;
        eprintln!("{name}: {count} user instructions per request");
        seen.insert(name.to_owned(), count);
    }
    Ok(seen)
}

/// User instructions that a request costs the proxies of one set-up.
pub fn per_request(
    stage: &Stage,
    scenario: Scenario,
    peer: Peer,
    options: &Options,
) -> Result<u64, BenchError> {
    // Both at once: they do not count each other's instructions, however slow they make it.
    let run = |requests, which| total(stage, scenario, peer, options.connections, requests, which);
    let first = run(options.requests, "n")?;
    let second = run(options.requests * 2, "2n")?;
    Ok(second.saturating_sub(first) / u64::from(options.requests.max(1)))
}

fn total(
    stage: &Stage,
    scenario: Scenario,
    peer: Peer,
    connections: u32,
    requests: u32,
    which: &str,
) -> Result<u64, BenchError> {
    let valgrind = stage.tools.system("valgrind")?;
    let folder = stage.room(&format!("callgrind-{which}"))?;
    let under = |name: &str, command: Command| {
        let mut under = Command::new(&valgrind);
        under.args(["--tool=callgrind", "--error-limit=no", "-q"]);
        let mut out = OsString::from("--callgrind-out-file=");
        out.push(folder.join(format!("{name}.out")));
        under.arg(out).arg(command.get_program());
        under.args(command.get_args());
        under
    };
    let mut deployment = stage.deploy(scenario, peer, Core::Any, &under)?;
    let (front, host) = (deployment.front, deployment.host.clone());
    let sent = thread::scope(|scope| {
        let load = scope.spawn(|| counted::send(front, &host, connections, requests));
        load.join()
    });
    match sent {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let reason = format!("does not answer under valgrind: {error}");
            return Err(match deployment.proxies.last() {
                Some(proxy) => proxy.error(reason),
                None => BenchError::Manifest(reason),
            });
        }
        Err(_) => return Err(BenchError::Manifest("the load panicked".to_owned())),
    }
    // callgrind writes its totals as the process ends.
    deployment.stop();
    let mut sum = 0;
    for entry in fs::read_dir(&folder).map_err(BenchError::file(&folder))? {
        let path = entry.map_err(BenchError::file(&folder))?.path();
        sum += read_total(&path)?;
    }
    if sum == 0 {
        let reason = "ended without callgrind's totals: it was killed before it could end";
        return Err(BenchError::Manifest(format!("{} {reason}", peer.name())));
    }
    Ok(sum)
}

fn read_total(path: &Path) -> Result<u64, BenchError> {
    let text = fs::read_to_string(path).map_err(BenchError::file(path))?;
    Ok(text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals:"))
        .and_then(|rest| rest.trim().parse().ok())
        .unwrap_or(0))
}

/// The record's file; empty if there is none.
pub fn read(path: &Path) -> Result<Record, BenchError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| BenchError::Manifest(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(BenchError::file(path)(error)),
    }
}

/// Takes `seen` into the record.
pub fn write(path: &Path, profile: &str, seen: &BTreeMap<String, u64>) -> Result<(), BenchError> {
    let mut record = read(path)?;
    record
        .entry(profile.to_owned())
        .or_default()
        .extend(seen.clone());
    let text = serde_json::to_string_pretty(&record)
        .map_err(|error| BenchError::Manifest(error.to_string()))?;
    fs::write(path, text + "\n").map_err(BenchError::file(path))
}

/// What a comparison with the record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What needs more than it may, or has no record.
    pub worse: Vec<String>,
    /// What needs so much less that the record should follow.
    pub better: Vec<String>,
}

/// Compares `seen` with the record of one profile.
pub fn compare(record: &BTreeMap<String, u64>, seen: &BTreeMap<String, u64>) -> Verdict {
    let mut verdict = Verdict::default();
    for (name, count) in seen {
        let Some(recorded) = record.get(name) else {
            verdict
                .worse
                .push(format!("{name}: {count}, and there is no record of it"));
            continue;
        };
        let change = *count as f64 / *recorded as f64 - 1.0;
        // In whole numbers: exactly the tolerance is within it.
        let is_beyond = |difference: u64| difference * 100 > recorded * TOLERANCE_PER_CENT;
        let line = format!(
            "{name}: {count} user instructions per request, {:+.1} % on the record of {recorded}",
            change * 100.0
        );
        if is_beyond(count.saturating_sub(*recorded)) {
            verdict.worse.push(line);
        } else if is_beyond(recorded.saturating_sub(*count)) {
            verdict.better.push(line);
        }
    }
    verdict
}

#[cfg(test)]
mod tests;

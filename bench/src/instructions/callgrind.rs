use std::{collections::HashMap, ffi::OsString, fs, path::Path, process::Command};

use crate::{
    BenchError, hop::Peer, load::counted, running::Core, scenario::Scenario, stage::Stage,
};

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// User instructions.
    pub instructions: u64,
    /// Calls of the allocator for memory.
    pub allocations: u64,
}

/// What `requests` cost the proxies of one set-up, with all that is around them.
pub(super) fn run(
    stage: &Stage,
    scenario: Scenario,
    peer: Peer,
    connections: u32,
    requests: u32,
) -> Result<Counts, BenchError> {
    let valgrind = stage.tools.system("valgrind")?;
    let folder = stage.room("callgrind")?;
    let under = |name: &str, command: Command| {
        // valgrind does not follow what becomes another program, as taskset does.
        let mut under = Core::Any.pinned(&valgrind);
        under.args(["--tool=callgrind", "--error-limit=no", "-q"]);
        let mut out = OsString::from("--callgrind-out-file=");
        out.push(folder.join(format!("{name}.out")));
        under.arg(out).arg(command.get_program());
        under.args(command.get_args());
        under
    };
    let mut deployment = stage.deploy(scenario, peer, Core::Inherited, &under)?;
    counted::send(deployment.front, &deployment.host, connections, requests)
        .map_err(|error| deployment.error(format!("does not answer under valgrind: {error}")))?;
    // callgrind writes its totals as the process ends.
    deployment.stop();
    let mut sum = Counts::default();
    for entry in fs::read_dir(&folder).map_err(BenchError::file(&folder))? {
        let path = entry.map_err(BenchError::file(&folder))?.path();
        let counts = read(&path)?;
        sum.instructions += counts.instructions;
        sum.allocations += counts.allocations;
    }
    if sum.instructions == 0 {
        let reason = "ended without callgrind's totals: it was killed before it could end";
        return Err(BenchError::Manifest(format!("{} {reason}", peer.name())));
    }
    Ok(sum)
}

fn read(path: &Path) -> Result<Counts, BenchError> {
    let text = fs::read_to_string(path).map_err(BenchError::file(path))?;
    Ok(counts(&text))
}

/// Reads callgrind's format: `fn=` begins a function, `cfn=` names one that it calls, `calls=` says
/// how often. A name is told once, as `(7) name`, and then called `(7)`.
pub(super) fn counts(text: &str) -> Counts {
    let mut seen = Counts::default();
    let mut is_allocator: HashMap<&str, bool> = HashMap::new();
    let (mut within, mut called) = (false, false);
    for line in text.lines() {
        let mut is = |name| {
            let (id, name) = split(name);
            if !name.is_empty() {
                is_allocator.insert(id, allocates(name));
            }
            is_allocator.get(id).copied().unwrap_or_default()
        };
        if let Some(name) = line.strip_prefix("fn=") {
            within = is(name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            called = is(name);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            // What the allocator asks of itself is no allocation more.
            if called && !within {
                let count = calls.split(' ').next().and_then(|count| count.parse().ok());
                seen.allocations += count.unwrap_or(0);
            }
        } else if let Some(total) = line.strip_prefix("totals:") {
            seen.instructions = total.trim().parse().unwrap_or(0);
        }
    }
    seen
}

/// `(7) name` or `(7)`.
fn split(name: &str) -> (&str, &str) {
    name.split_once(' ').unwrap_or((name, ""))
}

/// Whether a function gives memory: the C library's, and jemalloc's under its prefix.
fn allocates(name: &str) -> bool {
    // A recursion's depth, or the version of a symbol, may follow.
    let name = name.split(['\'', '@']).next().unwrap_or_default();
    matches!(
        name.strip_prefix("_rjem_").unwrap_or(name),
        "malloc"
            | "calloc"
            | "realloc"
            | "mallocx"
            | "rallocx"
            | "posix_memalign"
            | "aligned_alloc"
            | "memalign"
    )
}

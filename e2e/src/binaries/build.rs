//! A build with Go, which says what it builds and how long that takes.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{Cache, Error, Go, Tool};
use crate::control_plane::process::{Process, tail};

/// Ten times what a cold build of kube-apiserver takes on two cores.
const BOUND: Duration = Duration::from_secs(60 * 60);

pub(super) fn build(tool: Tool, cache: &Cache) -> Result<PathBuf, Error> {
    let go = Go::find().map_err(|tried| Error::NoGo {
        tool: tool.name(),
        version: tool.version(),
        cached: cache.path(tool),
        tried,
    })?;
    let _lock = cache.lock(|path| {
        say(&format!(
            "another process is building (it holds {}); waiting for it",
            path.display()
        ));
    })?;
    // It may have been built while the lock was waited for.
    if let Some(path) = cache.lookup(tool) {
        return Ok(path);
    }
    let unfinished = cache.path(tool).with_extension("unfinished");
    let took = run(tool, &go, cache, &unfinished)?;
    let path = cache.install(tool, &unfinished)?;
    cache.note_build(tool, took);
    say(&format!(
        "built {} in {}",
        path.display(),
        minutes(took.as_secs())
    ));
    Ok(path)
}

fn run(tool: Tool, go: &Go, cache: &Cache, output: &Path) -> Result<Duration, Error> {
    let log = cache.log(tool);
    let failed = |source: io::Error| Error::Cache {
        path: log.clone(),
        source,
    };
    let progress = Progress::start(tool, go, cache);
    let mut command = Command::new(&go.path);
    command
        .current_dir(tool.module_dir())
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w"])
        .arg("-o")
        .arg(output)
        .arg(tool.package())
        .env("CGO_ENABLED", "0")
        // Debian's packages switch this off; the pinned modules may ask for a newer Go.
        .env("GOTOOLCHAIN", "auto")
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .stdin(Stdio::null());
    fs::write(&log, format!("{command:?}\n")).map_err(failed)?;
    let out = File::options().append(true).open(&log).map_err(failed)?;
    let mut process = Process::spawn("go", command, out).map_err(failed)?;
    let status = loop {
        match process.wait(Duration::from_millis(500)) {
            Some(status) => break status,
            None if progress.started.elapsed() > BOUND => {
                process.stop(Duration::from_secs(5));
                return Err(Error::TimedOut {
                    what: format!("building {} {}", tool.name(), tool.version()),
                    minutes: BOUND.as_secs() / 60,
                    log,
                });
            }
            None => progress.tick(),
        }
    };
    progress.end();
    if status.success() {
        return Ok(progress.started.elapsed());
    }
    Err(Error::Build {
        tool: tool.name(),
        version: tool.version(),
        module_dir: tool.module_dir(),
        status,
        tail: tail(&log, 15),
        log,
    })
}

/// One line on a terminal, rewritten each half second; elsewhere a line every fifteen seconds.
struct Progress {
    started: Instant,
    title: String,
    terminal: bool,
    last: std::cell::Cell<u64>,
}

impl Progress {
    fn start(tool: Tool, go: &Go, cache: &Cache) -> Self {
        let before = match cache.last_build(tool) {
            Some(took) => format!("it took {} last time", minutes(took.as_secs())),
            None if matches!(tool, Tool::KubeApiserver | Tool::Kubelet | Tool::CoreDns) => {
                "first time here; expect 2 to 8 minutes".to_owned()
            }
            None => "first time here; expect a minute".to_owned(),
        };
        let title = format!("building {} {}", tool.name(), tool.version());
        say(&format!(
            "{title} with {} ({}); {before}",
            go.version,
            go.path.display()
        ));
        Self {
            started: Instant::now(),
            title,
            terminal: io::stderr().is_terminal(),
            last: std::cell::Cell::new(0),
        }
    }

    fn tick(&self) {
        let elapsed = self.started.elapsed().as_secs();
        let line = format!("{}: {} so far", self.title, minutes(elapsed));
        if self.terminal {
            let _ = write!(io::stderr(), "\rweft: {line}  ");
        } else if elapsed >= self.last.get() + 15 {
            self.last.set(elapsed);
            say(&line);
        }
    }

    fn end(&self) {
        if self.terminal {
            let _ = writeln!(io::stderr());
        }
    }
}

/// Written to the stream itself: the test harness captures `eprintln!`, and a build that is silent
/// for minutes looks like a hang.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "weft: {line}");
}

fn minutes(seconds: u64) -> String {
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

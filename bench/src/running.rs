//! Processes of a measurement: where they listen, on which core they run, and how they end.

use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use weft_e2e::control_plane::process::{Process, tail};

use crate::{BenchError, cpu::cores};

/// A process is ready within this time, under valgrind as well.
const READY: Duration = Duration::from_secs(60);

/// On which core a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// What is measured: the first core, alone.
    Measured,
    /// Load and backend: all the others.
    Others,
    /// Wherever there is room.
    Any,
    /// Where its parent runs, which is pinned itself.
    Inherited,
}

impl Core {
    /// The command with the core it belongs to. `taskset` becomes the program: the pid stays.
    pub fn pinned(self, program: &Path) -> Command {
        let cores = cores();
        let list = match self {
            _ if cores < 2 => None,
            Self::Inherited => None,
            Self::Any => Some(format!("0-{}", cores - 1)),
            Self::Measured => Some("0".to_owned()),
            Self::Others => Some(format!("1-{}", cores - 1)),
        };
        match list {
            None => Command::new(program),
            Some(list) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &list]).arg(program);
                command
            }
        }
    }
}

/// Keeps this process, and so the load that it sends itself, off the core where proxies are
/// measured; and lets it, and what it starts, have as many connections open as the system allows.
pub(crate) fn leave_the_measured_core() {
    use nix::{
        sched::{CpuSet, sched_setaffinity},
        sys::resource::{Resource, getrlimit, setrlimit},
        unistd::Pid,
    };
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    // The count is kept: afterwards the system would tell the others alone.
    let cores = cores();
    let mut set = CpuSet::new();
    if (1..cores).all(|core| set.set(core).is_ok()) && cores > 1 {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// A started program with its log.
#[derive(Debug)]
pub struct Running {
    process: Process,
    name: String,
    log: PathBuf,
}

impl Running {
    /// Starts it; both of its outputs go to `log`.
    pub fn start(name: &str, command: Command, log: PathBuf) -> Result<Self, BenchError> {
        let file = File::create(&log).map_err(BenchError::file(&log))?;
        let program = PathBuf::from(command.get_program());
        let process =
            Process::spawn("benchmark", command, file).map_err(BenchError::file(program))?;
        Ok(Self {
            process,
            name: name.to_owned(),
            log,
        })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.process.exited().is_some()
    }

    /// An error about it.
    pub fn error(&self, reason: impl Into<String>) -> BenchError {
        BenchError::Process {
            program: self.name.clone(),
            reason: reason.into(),
            log: tail(&self.log, 12),
        }
    }

    /// Waits until `done`; `otherwise` is what is wrong if that takes longer than a minute.
    pub fn until(&self, otherwise: &str, mut done: impl FnMut() -> bool) -> Result<(), BenchError> {
        let began = Instant::now();
        while !done() {
            if let Some(status) = self.process.exited() {
                return Err(self.error(format!("ended early: {status}")));
            }
            if began.elapsed() > READY {
                return Err(self.error(otherwise));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until something listens at `address`.
    pub fn until_listening(&self, address: SocketAddr) -> Result<(), BenchError> {
        self.until(&format!("does not listen at {address}"), || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
    }

    /// What it has written.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it ends by itself within `bound`.
    pub fn until_ended(&self, bound: Duration) -> bool {
        let began = Instant::now();
        while self.process.exited().is_none() {
            if began.elapsed() > bound {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// SIGTERM, and SIGKILL after `grace`.
    pub fn stop(&mut self, grace: Duration) {
        self.process.stop(grace);
    }
}

/// An address that nothing listens on now.
pub fn free() -> Result<SocketAddr, BenchError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(BenchError::file("127.0.0.1:0"))
}

/// One GET on a connection of its own: status and body. At most ten seconds.
pub fn get(address: SocketAddr, host: &str, path: &str) -> Option<(u16, Vec<u8>)> {
    let bound = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&address, bound).ok()?;
    stream.set_read_timeout(Some(bound)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let _ = stream.take(1 << 20).read_to_end(&mut answer);
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    Some((status, answer.split_off(end)))
}

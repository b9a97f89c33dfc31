//! A started program of the mesh, with its log.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;

use super::DemoError;
use crate::control_plane::process::{Process, tail};

/// A process gets this long to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);

/// A started program; its output goes to a log file. It never outlives the demo.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts `program`. A log that is there already is continued.
    pub(super) fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Result<Self, DemoError> {
        let opened = File::options().create(true).append(true).open(&log);
        let out = opened.map_err(|source| DemoError::File {
            path: log.clone(),
            source,
        })?;
        let mut command = Command::new(program);
        command.args(arguments);
        let process =
            Process::spawn("child", command, out).map_err(|error| DemoError::Process {
                name: name.to_owned(),
                reason: format!(
                    "cannot be started from {}: {error}; build it first (`make demo` does)",
                    program.display()
                ),
                log: String::new(),
            })?;
        Ok(Self {
            name: name.to_owned(),
            process,
            log,
        })
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written from `offset` on.
    pub(super) fn output(&self, offset: usize) -> String {
        let written = fs::read(&self.log).unwrap_or_default();
        let new = written.get(offset..).unwrap_or_default();
        String::from_utf8_lossy(new).into_owned()
    }

    /// An error about it, with the end of its log.
    pub(super) fn error(&self, reason: impl Into<String>) -> DemoError {
        DemoError::Process {
            name: self.name.clone(),
            reason: reason.into(),
            log: tail(&self.log, 12),
        }
    }

    /// An error if it has ended.
    pub(super) fn still_runs(&self) -> Result<(), DemoError> {
        match self.process.exited() {
            None => Ok(()),
            Some(status) => Err(self.error(format!("ended early: {status}"))),
        }
    }

    /// Sends SIGTERM and does not wait.
    pub(super) fn ask_to_end(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits for the end that was asked for, and forces it after a few seconds. Blocks.
    pub(super) fn ended(&mut self) {
        if self.process.wait(PATIENCE).is_none() {
            self.process.kill();
        }
    }

    /// SIGKILL, and waits until it is gone. Blocks, for a moment.
    pub(super) fn kill(&mut self) {
        self.process.kill();
    }
}

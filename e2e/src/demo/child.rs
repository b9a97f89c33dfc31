//! A process that never outlives the demo.

// `pre_exec` is the only way to arm the parent-death signal before the program runs; see the
// SAFETY comment at its one use.
#![allow(unsafe_code)]

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

use super::DemoError;

/// A process gets this long to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);

/// A started program; its output goes to a log file.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: tokio::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `program`. Must be called from the main task: the parent-death signal watches
    /// the thread that starts it.
    pub(super) fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Result<Self, DemoError> {
        let failed = |reason: String| DemoError::Process {
            name: name.to_owned(),
            reason,
            log: String::new(),
        };
        let opened = File::options().create(true).append(true).open(&log);
        let out = opened.map_err(|source| DemoError::File {
            path: log.clone(),
            source,
        })?;
        let err = out
            .try_clone()
            .map_err(|error| failed(format!("has no log: {error}")))?;
        let parent = Pid::this();
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // Ctrl-C in a terminal goes to the whole group; the demo ends its children in order.
            .process_group(0)
            .kill_on_drop(true);
        // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure
        // makes two system calls (prctl and getppid), allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                // The parent may have died before the signal was armed.
                if getppid() == parent {
                    Ok(())
                } else {
                    Err(std::io::ErrorKind::NotConnected.into())
                }
            });
        }
        let process = command.spawn().map_err(|error| {
            failed(format!(
                "cannot be started from {}: {error}; build it first (`make demo` does)",
                program.display()
            ))
        })?;
        Ok(Self {
            name: name.to_owned(),
            process,
            log,
        })
    }

    /// The process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has written so far.
    pub(super) fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// An error about it, with the end of its log.
    pub(super) fn error(&self, reason: impl Into<String>) -> DemoError {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(12)..)
            .unwrap_or(&lines);
        DemoError::Process {
            name: self.name.clone(),
            reason: reason.into(),
            log: last
                .iter()
                .map(|line| format!("    | {line}"))
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    /// An error if it has ended.
    pub(super) fn still_runs(&mut self) -> Result<(), DemoError> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.error(format!("ended early: {status}"))),
            Err(error) => Err(self.error(format!("cannot be watched: {error}"))),
        }
    }

    /// Sends SIGTERM and does not wait.
    pub(super) fn ask_to_end(&self) {
        let id = self.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            // It may have ended by itself: then there is nothing to ask.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }

    /// Waits for the end that was asked for, and forces it after [`PATIENCE`].
    pub(super) async fn ended(&mut self) {
        if tokio::time::timeout(PATIENCE, self.process.wait())
            .await
            .is_err()
        {
            self.kill().await;
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        // An error means that it is gone already.
        let _ = self.process.kill().await;
    }
}

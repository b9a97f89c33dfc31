//! A child process that cannot outlive its parent, and is only ever signalled by its own pid.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::{Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};

/// A running child. Dropping it kills it.
///
/// The kernel ties the life of a child to the *thread* that started it, and a test's thread ends
/// with its test. So each child has a thread of its own, which starts it and then waits for it:
/// that thread ends when the child has ended, or with the whole process.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    pid: Pid,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    exit: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts `command` with both of its output streams written to `log`.
    ///
    /// # Errors
    /// Where the command cannot be started.
    pub fn spawn(name: &'static str, command: Command, log: File) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let state = Arc::new(State::default());
        let keeper = Arc::clone(&state);
        thread::Builder::new()
            .name(format!("keeps {name}"))
            .spawn(move || keep(command, log, &sender, &keeper))?;
        let pid = receiver
            .recv()
            .map_err(|_| io::Error::other("the thread that starts the process has ended"))??;
        Ok(Self { name, pid, state })
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exited(&self) -> Option<ExitStatus> {
        *self.state.lock()
    }

    /// Waits for its end, no longer than `bound`.
    pub fn wait(&mut self, bound: Duration) -> Option<ExitStatus> {
        let (exit, _) = self
            .state
            .ended
            .wait_timeout_while(self.state.lock(), bound, |exit| exit.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *exit
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        // Reaping happens under the same lock, so the pid is still this child's.
        let exit = self.state.lock();
        if exit.is_none() {
            // The only failure left is ESRCH, for a child that is about to be noticed as ended.
            let _ = kill(self.pid, signal);
        }
    }

    /// SIGTERM, then SIGKILL if it has not ended after `grace`. Returns how it ended.
    pub fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        self.wait(grace).or_else(|| self.kill())
    }

    /// SIGKILL. Returns how it ended, which the kernel may take a moment to tell.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::SIGKILL);
        self.wait(Duration::from_secs(5))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_none() {
            self.kill();
        }
    }
}

fn keep(mut command: Command, log: File, started: &mpsc::Sender<io::Result<Pid>>, state: &State) {
    let child = log.try_clone().and_then(|err| {
        command.stdin(std::process::Stdio::null());
        command.stdout(log).stderr(err);
        die_with_parent(&mut command);
        command.spawn()
    });
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_raw(child.id().cast_signed());
    let _ = started.send(Ok(pid));
    // Waits without reaping, so that the pid cannot be given to another process before the lock
    // is held.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        == Err(nix::errno::Errno::EINTR)
    {}
    let mut exit = state.lock();
    *exit = child.wait().ok();
    state.ended.notify_all();
}

/// Asks the kernel to kill the child when the thread that starts it ends.
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let parent = nix::unistd::getpid();
    // A group of its own: Ctrl-C at a terminal is for the parent, which stops its children in order.
    command.process_group(0);
    let prepare = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A parent that died before the call above would never be noticed.
        if nix::unistd::getppid() == parent {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; `prctl` and
    // `getppid` are plain system calls, and neither result allocates.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare);
    }
}

/// The last `lines` lines of a log file, or why they cannot be read.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    match fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({} cannot be read: {error})", log.display()),
    }
}

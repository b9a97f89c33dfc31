//! Signals to other processes of the pod.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What a process gets.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Stop {
    /// SIGSTOP
    Stop,
    /// SIGCONT
    Cont,
}

/// `false`: there is no such process.
pub(super) fn send(signal: Stop, process: &str) -> std::io::Result<bool> {
    let signal = match signal {
        Stop::Stop => Signal::SIGSTOP,
        Stop::Cont => Signal::SIGCONT,
    };
    let mut sent = false;
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process that ended meanwhile has no name any more.
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim_end() == process {
            kill(Pid::from_raw(pid), signal)?;
            sent = true;
        }
    }
    Ok(sent)
}

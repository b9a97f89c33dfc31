//! The processes of the cluster's pods, as the machine sees them.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Error, place::CGROUP};

/// In a second, on every machine: the kernel's `USER_HZ`.
const TICKS: f64 = 100.0;

/// A process of a pod.
#[derive(Debug, Clone)]
pub struct PodProcess {
    /// Its id outside the cluster.
    pub pid: u32,
    /// The name of its pod.
    pub pod: String,
    /// The memory that it has touched and that is still there, in KiB.
    pub rss_kib: u64,
    /// When it was started, to a hundredth of a second.
    pub started: SystemTime,
}

impl PodProcess {
    /// SIGKILL, as the kernel sends it to a process that has no memory left.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn kill(&self) -> Result<(), Error> {
        kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGKILL)
            .map_err(Error::kernel("to kill a process of a pod"))
    }

    /// Whether a socket of its pod listens on this TCP port.
    #[must_use]
    pub fn listens_on(&self, port: u16) -> bool {
        let table = format!("/proc/{}/net/tcp", self.pid);
        let listens = format!(":{port:04X} 00000000:0000 0A");
        fs::read_to_string(table).is_ok_and(|sockets| sockets.contains(&listens))
    }
}

/// Those that run the program of this name (at most 15 characters, as the kernel keeps it).
pub(super) fn running(program: &str) -> Vec<PodProcess> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| look(pid, program))
        .collect()
}

fn look(pid: u32, program: &str) -> Option<PodProcess> {
    let proc = Path::new("/proc").join(pid.to_string());
    let read = |file| fs::read_to_string(proc.join(file)).ok();
    if read("comm")?.trim_end() != program || !read("cgroup")?.contains(CGROUP) {
        return None;
    }
    let environment = fs::read(proc.join("environ")).ok()?;
    let pod = environment
        .split(|&byte| byte == 0)
        .find_map(|variable| variable.strip_prefix(b"HOSTNAME="))?;
    let status = read("status")?;
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?
        .split_whitespace()
        .next()?;
    Some(PodProcess {
        pid,
        pod: String::from_utf8_lossy(pod).into_owned(),
        rss_kib: rss.parse().ok()?,
        started: started(&read("stat")?)?,
    })
}

/// `starttime` counts ticks since the machine's start, as `/proc/uptime` counts seconds.
fn started(stat: &str) -> Option<SystemTime> {
    // The second field is a name in brackets, which may hold anything; `starttime` is the 22nd.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let age = (uptime - ticks / TICKS).max(0.0);
    SystemTime::now().checked_sub(Duration::from_secs_f64(age))
}

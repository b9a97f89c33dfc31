//! The machine's side: holds the one lock, starts the cluster's first process, and removes what is
//! left when it has ended.

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Error, cgroups, first, network, place, requirements};
use crate::binaries::Cache;

/// How long the kernel may take to end every process of the cluster.
const END_BOUND: Duration = Duration::from_secs(20);

/// Holds a cluster until it is told to end, then leaves nothing of it. Blocks.
///
/// Must be called from a process with one thread: a process with several cannot have a new
/// namespace of processes.
///
/// # Errors
/// Where there is one already, where the machine lacks something, or why it could not be removed.
pub fn hold(options: &[String]) -> Result<(), Error> {
    requirements::check()?;
    let _lock = lock()?.ok_or(Error::Up)?;
    // Builds take threads and the world's modules: both before there are namespaces.
    build()?;
    remove_leftovers()?;
    let dir = place::dir();
    fs::create_dir_all(dir).map_err(Error::files("cannot make the cluster's folder", dir))?;
    let holder = place::holder_file();
    fs::write(&holder, std::process::id().to_string())
        .map_err(Error::files("cannot write", holder))?;
    cgroups::create()?;
    let made = first::make_mount_points()?;
    let ran = run(options);
    for point in made.iter().rev() {
        let _ = fs::remove_dir(point);
    }
    remove_leftovers()?;
    ran
}

fn run(options: &[String]) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWPID).map_err(Error::kernel("a namespace of processes"))?;
    let exe = std::env::current_exe()
        .map_err(Error::files("cannot find this program", "/proc/self/exe"))?;
    let mut child = Command::new(&exe)
        .arg("first")
        .args(options)
        // Ctrl-C is for whoever holds the cluster; the cluster ends in order afterwards.
        .process_group(0)
        .spawn()
        .map_err(Error::files(
            "cannot start the cluster's first process",
            exe,
        ))?;
    let pid = child.id();
    let pid_file = pid_file();
    let linked = fs::write(&pid_file, pid.to_string())
        .map_err(Error::files("cannot write", pid_file))
        .and_then(|()| wait_for_network(pid))
        .and_then(|()| network::link());
    if linked.is_err() {
        let _ = child.kill();
    }
    let status = child
        .wait()
        .map_err(Error::files("cannot wait for the cluster", place::DIR))?;
    linked?;
    if status.success() || status.code().is_none() {
        // A signal is how it is taken down.
        return Ok(());
    }
    Err(Error::Command {
        command: "weft-cluster first".to_owned(),
        status: status.to_string(),
        output: "see above".to_owned(),
    })
}

/// The first process takes a network of its own as its first act.
fn wait_for_network(pid: u32) -> Result<(), Error> {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net"));
    let ours = of("self").map_err(Error::files("cannot read", "/proc/self/ns/net"))?;
    let started = Instant::now();
    loop {
        match of(&pid.to_string()) {
            Ok(theirs) if theirs != ours => return Ok(()),
            Ok(_) if started.elapsed() < END_BOUND => thread::sleep(Duration::from_millis(5)),
            Ok(_) => {
                return Err(Error::Late {
                    what: "the cluster's own network".to_owned(),
                    after: END_BOUND,
                    last: "its first process is still in the machine's".to_owned(),
                    log: place::dir().to_owned(),
                });
            }
            Err(source) => return Err(Error::files("the first process ended", "/proc")(source)),
        }
    }
}

/// Takes the cluster down, and what an earlier one has left. Says whether one was up.
///
/// # Errors
/// Where something does not go away.
pub fn down() -> Result<bool, Error> {
    let started = Instant::now();
    let mut was_up = false;
    loop {
        if let Some(_lock) = lock()? {
            remove_leftovers()?;
            return Ok(was_up);
        }
        was_up = true;
        // Its holder lives, so the number is still that of its first process: with that one the
        // kernel ends every other, and the holder removes the rest.
        if let Some(pid) = first_pid() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        if started.elapsed() > END_BOUND * 2 {
            return Err(Error::Late {
                what: "the end of the cluster".to_owned(),
                after: END_BOUND * 2,
                last: format!("its holder still has {}", lock_path()?.display()),
                log: place::dir().to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// What of a cluster is on this machine: its folder, link, cgroups and mounts. Empty where none is
/// up and none was left behind.
#[must_use]
pub fn traces() -> Vec<String> {
    let mut traces = cgroups::paths();
    traces.extend([
        PathBuf::from(place::DIR),
        Path::new("/sys/class/net").join(place::MACHINE_LINK),
    ]);
    let mut traces: Vec<String> = traces
        .into_iter()
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    traces.extend(
        mounts
            .lines()
            .filter(|mount| mount.contains(place::DIR))
            .map(|mount| format!("the mount {mount}")),
    );
    traces
}

fn first_pid() -> Option<Pid> {
    let pid = fs::read_to_string(pid_file()).ok()?.trim().parse().ok()?;
    // Only a cluster's own first process is ever signalled.
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = command.split(|&byte| byte == 0);
    let program = Path::new(std::str::from_utf8(arguments.next()?).ok()?);
    let known = program.file_name()? == "weft-cluster" && arguments.next()? == b"first";
    known.then(|| Pid::from_raw(pid))
}

fn pid_file() -> PathBuf {
    place::dir().join("first.pid")
}

fn build() -> Result<(), Error> {
    let exe = std::env::current_exe()
        .map_err(Error::files("cannot find this program", "/proc/self/exe"))?;
    let status = Command::new(&exe)
        .arg("build")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(Error::files("cannot run", exe))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: "weft-cluster build".to_owned(),
        status: status.to_string(),
        output: "see above".to_owned(),
    })
}

fn remove_leftovers() -> Result<(), Error> {
    network::unlink();
    cgroups::remove(END_BOUND)?;
    let started = Instant::now();
    loop {
        match fs::remove_dir_all(place::DIR) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) if started.elapsed() < END_BOUND => thread::sleep(Duration::from_millis(100)),
            Err(source) => {
                return Err(Error::files(
                    "cannot remove the cluster's folder",
                    place::DIR,
                )(source));
            }
        }
    }
}

/// The lock of the one cluster, if nobody holds it. The kernel gives it back with the process.
fn lock() -> Result<Option<File>, Error> {
    let path = lock_path()?;
    let file = File::create(&path).map_err(Error::files("cannot open the lock", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(source)) => Err(Error::files("cannot lock", path)(source)),
    }
}

fn lock_path() -> Result<PathBuf, Error> {
    Ok(Cache::open()?.root().join("cluster.lock"))
}

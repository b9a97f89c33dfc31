//! Process 1 of the cluster: takes namespaces, gives the parts of Kubernetes private places where
//! they insist on fixed ones, starts the node, and reaps what is orphaned.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl::set_pdeathsig,
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{Error, place};

/// Folders that containerd, CNI and the kubelet use whatever their settings say: empty ones of the
/// cluster's own lie over the machine's.
const PRIVATE: &[&str] = &["/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet"];

/// Settings of the whole machine that the kubelet changes. It gets files that say what it wants.
const MACHINE_SETTINGS: &[(&str, &str)] = &[
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Makes the mount points that the machine does not have, and says which.
pub(super) fn make_mount_points() -> Result<Vec<PathBuf>, Error> {
    let mut made = Vec::new();
    for point in PRIVATE
        .iter()
        .map(PathBuf::from)
        .filter(|point| !point.exists())
    {
        fs::create_dir(&point).map_err(Error::files("cannot make a mount point", &point))?;
        made.push(point);
    }
    Ok(made)
}

/// Runs as process 1 until the node ends, then ends too, and with it everything in the cluster.
///
/// # Errors
/// Where the kernel refuses a namespace or a mount, or the node cannot be started or failed.
pub fn run(options: &[String]) -> Result<(), Error> {
    // Where the holder is killed, the cluster goes with it.
    set_pdeathsig(Signal::SIGKILL).map_err(Error::kernel("a signal at the holder's end"))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        .map_err(Error::kernel("namespaces of mounts and networks"))?;
    mounts()?;
    let exe = std::env::current_exe()
        .map_err(Error::files("cannot find this program", "/proc/self/exe"))?;
    let node = Command::new(&exe)
        .arg("node")
        .args(options)
        .spawn()
        .map_err(Error::files("cannot start the node", exe))?;
    let node = Pid::from_raw(node.id().cast_signed());
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, 0)) if pid == node => return Ok(()),
            Ok(WaitStatus::Exited(pid, code)) if pid == node => {
                return Err(ended(format!("exit status {code}")));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == node => {
                return Err(ended(signal.to_string()));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::kernel("to wait for the node")(errno)),
        }
    }
}

fn ended(status: String) -> Error {
    Error::Command {
        command: "weft-cluster node".to_owned(),
        status,
        output: format!("see above, and the logs in {}", place::DIR),
    }
}

fn mounts() -> Result<(), Error> {
    let refused = |what| Error::kernel(what);
    // Mounts of the machine still arrive here; those made here never arrive there. The kubelet
    // shares them with its pods.
    for flag in [MsFlags::MS_SLAVE, MsFlags::MS_SHARED] {
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | flag,
            None::<&str>,
        )
        .map_err(refused("mounts of the cluster's own"))?;
    }
    let restricted = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        restricted,
        None::<&str>,
    )
    .map_err(refused("a /proc of the cluster's own"))?;
    for point in PRIVATE {
        mount(
            Some("tmpfs"),
            *point,
            Some("tmpfs"),
            MsFlags::MS_NOSUID,
            Some("mode=755"),
        )
        .map_err(refused("a private folder"))?;
    }
    let dir = place::dir().join("sys");
    for (setting, value) in MACHINE_SETTINGS {
        let file = dir.join(setting);
        let target = Path::new("/proc/sys").join(setting);
        if !target.exists() {
            continue;
        }
        fs::create_dir_all(file.parent().unwrap_or(&dir))
            .and_then(|()| fs::write(&file, format!("{value}\n")))
            .map_err(Error::files("cannot write", &file))?;
        mount(
            Some(&file),
            &target,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .map_err(refused("a file over a setting of the machine"))?;
    }
    Ok(())
}

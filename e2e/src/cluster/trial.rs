//! Whether a cluster could run here, found out by trying what it takes, a moment at a time.

use std::fs;

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{Error, cgroups, place, requirements};
use crate::binaries::{Go, Tool, available};

/// Tries it. Must be called from a process with one thread, which is to end afterwards: it is in
/// namespaces of its own then.
///
/// # Errors
/// What this machine lacks or refuses.
pub fn run() -> Result<(), Error> {
    requirements::check()?;
    requirements::check_buildah()?;
    let mut tools = Tool::API.into_iter().chain(Tool::NODE);
    if let Some(missing) = tools.find(|tool| !available(*tool)) {
        Go::find().map_err(|tried| {
            Error::Requirements(format!(
                "{} {} is not in the cache and cannot be built: {tried}",
                missing.name(),
                missing.version()
            ))
        })?;
    }
    cgroups::try_one()?;
    namespaces()
}

fn namespaces() -> Result<(), Error> {
    // On the disk that containerd's layers will be on.
    let parent = place::dir().parent().unwrap_or(place::dir());
    let layers = tempfile::Builder::new()
        .prefix("weft-trial.")
        .tempdir_in(parent)
        .map_err(Error::files("cannot make a folder in", parent))?;
    let kinds = ["lower", "upper", "work", "merged"].map(|name| layers.path().join(name));
    for dir in &kinds {
        fs::create_dir(dir).map_err(Error::files("cannot make", dir))?;
    }
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        .map_err(Error::kernel(
            "namespaces of processes, mounts and networks",
        ))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(Error::kernel("mounts of the cluster's own"))?;
    let [lower, upper, work, merged] = &kinds;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        merged,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(Error::kernel(
        "overlayfs, where containerd keeps its layers",
    ))?;
    nix::mount::umount(merged).map_err(Error::kernel("to unmount overlayfs"))
}

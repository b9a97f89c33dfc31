//! The cgroup below which the kubelet puts its pods. It belongs to no namespace, so it is the one
//! thing besides files that is made and removed by hand.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Error, place::CGROUP};

const ROOT: &str = "/sys/fs/cgroup";

/// Makes it in every hierarchy; the kubelet wants it to be there.
pub(super) fn create() -> Result<(), Error> {
    for hierarchy in hierarchies() {
        let path = hierarchy.join(CGROUP);
        fs::create_dir_all(&path).map_err(Error::files("cannot make a cgroup", &path))?;
        // Version 1: a new cpuset is empty, and nothing runs on no processor.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(inherited) = fs::read_to_string(hierarchy.join(file)) {
                let _ = fs::write(path.join(file), inherited);
            }
        }
    }
    Ok(())
}

/// Removes it, with what is below it; the processes in it have ended, or are about to.
pub(super) fn remove(bound: Duration) -> Result<(), Error> {
    let started = Instant::now();
    for hierarchy in hierarchies() {
        let path = hierarchy.join(CGROUP);
        while let Err(source) = remove_tree(&path) {
            if started.elapsed() > bound {
                return Err(Error::files("cannot remove a cgroup", &path)(source));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Makes one of another name and removes it.
pub(super) fn try_one() -> Result<(), Error> {
    for hierarchy in hierarchies() {
        let path = hierarchy.join(format!("{CGROUP}-trial"));
        fs::create_dir_all(&path)
            .and_then(|()| fs::remove_dir(&path))
            .map_err(Error::files("cannot make and remove a cgroup", &path))?;
    }
    Ok(())
}

/// Where it is, if it is.
pub(super) fn paths() -> Vec<PathBuf> {
    hierarchies()
        .iter()
        .map(|hierarchy| hierarchy.join(CGROUP))
        .collect()
}

/// The kernel removes a cgroup by `rmdir` only, and its files with it.
fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Version 2 is one hierarchy; version 1 has one for each controller.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(ROOT);
    if root.join("cgroup.controllers").is_file() {
        return vec![root];
    }
    fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            // Links are second names of hierarchies.
            entry.file_type().ok()?.is_dir().then(|| entry.path())
        })
        .filter(|path| path.join("cgroup.procs").is_file())
        .collect()
}

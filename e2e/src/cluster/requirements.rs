//! What the machine must have.

use std::{env, path::Path};

use super::Error;

/// Programs, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("runc", "runc"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
];

/// Where CNI plugins are: Debian's folder, and upstream's.
const CNI: &[&str] = &["/usr/lib/cni", "/opt/cni/bin"];

/// Names everything that is missing, at once.
pub(super) fn check() -> Result<(), Error> {
    if !cfg!(target_os = "linux") {
        return Err(Error::Requirements("it needs Linux".to_owned()));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::Requirements(
            "it needs root, for namespaces, mounts and cgroups".to_owned(),
        ));
    }
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if cni().is_none() {
        missing.push("containernetworking-plugins");
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Requirements(format!(
        "these packages are missing: {0}. On Debian: apt-get install --no-install-recommends {0}",
        missing.join(" ")
    )))
}

/// What images are built by.
pub(super) fn check_buildah() -> Result<(), Error> {
    if on_path("buildah") {
        return Ok(());
    }
    Err(Error::Requirements(
        "images are built by buildah, which is missing. On Debian: \
         apt-get install --no-install-recommends buildah"
            .to_owned(),
    ))
}

/// The folder of the CNI plugins.
pub(super) fn cni() -> Option<&'static Path> {
    CNI.iter()
        .map(Path::new)
        .find(|dir| dir.join("ptp").is_file() && dir.join("host-local").is_file())
}

pub(super) fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
        || Path::new("/usr/sbin").join(program).is_file()
}

//! Where the cluster stands: there is one of it at a time, so its names are fixed.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Everything that the cluster writes. Not below `/tmp`: containerd's layers are not for tmpfs.
pub const DIR: &str = "/var/lib/weft-cluster";

/// The name of the one node.
pub const NODE: &str = "weft-node";

/// The node, as the machine and the pods reach it.
pub const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);

/// The machine, as the node reaches it.
pub const MACHINE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 2);

/// The two ends of the link between the machine and the node.
pub const MACHINE_LINK: &str = "weft-cluster";
/// The node's end.
pub const NODE_LINK: &str = "node0";

/// Where pods get their addresses.
pub const POD_RANGE: &str = "10.244.0.0/24";

/// Where Services get theirs.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";

/// The address of the cluster's DNS, in the API server's service range.
pub const DNS_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// The cgroup of all its pods, in each hierarchy.
pub const CGROUP: &str = "weft-cluster";

/// `DIR`.
#[must_use]
pub fn dir() -> &'static Path {
    Path::new(DIR)
}

/// containerd's socket. A path, so that the machine's side reaches it too.
#[must_use]
pub fn containerd_socket() -> PathBuf {
    dir().join("containerd.sock")
}

/// Says which process holds the cluster.
pub(super) fn holder_file() -> PathBuf {
    dir().join("holder.pid")
}

/// What a cluster that is up says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// The kubeconfig of an administrator.
    pub kubeconfig: PathBuf,
    /// A kubectl of the cluster's version.
    pub kubectl: PathBuf,
    /// From the first process to a cluster that resolves names.
    pub took_ms: u64,
}

impl Ready {
    fn path() -> PathBuf {
        dir().join("ready.json")
    }

    /// What the cluster says, once it is up.
    ///
    /// # Errors
    /// Where it is not up.
    pub fn read() -> io::Result<Self> {
        serde_json::from_slice(&fs::read(Self::path())?).map_err(io::Error::other)
    }

    /// The same, once the cluster that process `holder` holds is up: there may be another, for
    /// which that process will not start one.
    ///
    /// # Errors
    /// Where it is not up.
    pub fn read_of(holder: u32) -> io::Result<Self> {
        let named = fs::read_to_string(holder_file())?;
        if named != holder.to_string() {
            return Err(io::Error::other(format!(
                "process {named} holds the cluster"
            )));
        }
        Self::read()
    }

    pub(super) fn write(&self) -> io::Result<()> {
        let unfinished = dir().join("ready.unfinished");
        fs::write(
            &unfinished,
            serde_json::to_vec(self).map_err(io::Error::other)?,
        )?;
        fs::rename(unfinished, Self::path())
    }
}

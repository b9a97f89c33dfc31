//! A whole Kubernetes of one node on this machine, as root on Linux.
//!
//! It lives in namespaces of its own (processes, mounts, network), so that the kernel takes it away
//! as one: when its first process ends, whatever way, every process, mount, link, route and nft
//! table of it is gone, and nothing of the machine's own was ever touched. What remains to be
//! removed are cgroups and a folder.
//!
//! ```text
//! weft-cluster hold     outside: lock, link, cgroups, folder          (outside)
//! └─ weft-cluster first  process 1 of the cluster: mounts, reaps       (first)
//!    └─ weft-cluster node  starts and watches Kubernetes               (node)
//!       ├─ etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//!       └─ containerd (and its pods), kubelet, kube-proxy
//! ```

mod cgroups;
mod components;
mod dns;
mod error;
pub mod first;
mod handle;
pub mod images;
mod network;
pub mod node;
pub mod outside;
mod part;
pub mod place;
mod processes;
mod requirements;
mod settings;
pub mod trial;

pub use error::Error;
pub use handle::Cluster;
pub use processes::PodProcess;

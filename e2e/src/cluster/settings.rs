//! The settings files of the node's parts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    Error, images,
    place::{self, CGROUP, DNS_ADDRESS, NODE, POD_RANGE},
    requirements,
};

/// containerd in version 1.6 and later, with everything of it below the cluster's folder.
pub(super) fn containerd() -> Result<PathBuf, Error> {
    let dir = place::dir();
    let cni = dir.join("cni");
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                // Each pod is routed, not bridged: packets between two pods of the node pass the
                // node's own rules, so a Service's address works without br_netfilter.
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": dir.join("cni-addresses"),
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    fs::create_dir_all(&cni).map_err(Error::files("cannot make", &cni))?;
    store(&cni.join("10-pods.conflist"), &format!("{network:#}"))?;
    let path = dir.join("containerd.toml");
    let settings = format!(
        r#"version = 2
root = "{dir}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"#,
        dir = dir.display(),
        socket = place::containerd_socket().display(),
        pause = images::PAUSE,
        plugins = requirements::cni()
            .unwrap_or(Path::new("/usr/lib/cni"))
            .display(),
        cni = cni.display(),
    );
    store(&path, &settings)?;
    Ok(path)
}

pub(super) fn kubelet(ca: &Path, certificate: &Path, key: &Path) -> Result<PathBuf, Error> {
    let dir = place::dir();
    let path = dir.join("kubelet.yaml");
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        // Version 1 still stands on older machines.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{CGROUP}"),
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{}", place::containerd_socket().display()),
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        // Nothing outside the cluster is resolved.
        "resolvConf": "",
        "authentication": {
            "anonymous": {"enabled": false},
            "x509": {"clientCAFile": ca},
            "webhook": {"enabled": true},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": certificate,
        "tlsPrivateKeyFile": key,
        // The machine's disk is not this cluster's to judge.
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        // How soon a pod sees a new Secret, and a little more.
        "syncFrequency": "5s",
        "maxPods": 200,
        "registryPullQPS": 0,
        "podLogsDir": dir.join("pod-logs"),
    });
    store(&path, &format!("{settings:#}"))?;
    Ok(path)
}

pub(super) fn kube_proxy(kubeconfig: &Path) -> Result<PathBuf, Error> {
    let path = place::dir().join("kube-proxy.yaml");
    let settings = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": kubeconfig},
        "hostnameOverride": NODE,
        "clusterCIDR": POD_RANGE,
        // The table's size is the machine's.
        "conntrack": {"maxPerCore": 0},
    });
    store(&path, &format!("{settings:#}"))?;
    Ok(path)
}

fn store(path: &Path, content: &str) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::files("cannot write", path))
}

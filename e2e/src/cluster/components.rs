//! The processes of the node, each with the credentials that it has in any cluster.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Error,
    place::{self, NODE, NODE_ADDRESS},
    settings,
};
use crate::{
    binaries::{Tool, find_or_build},
    control_plane::{
        kubeconfig::{self, Credential},
        pki::{LOOPBACK, Pki},
        process::Process,
        servers::{flag, spawn},
    },
};

/// Who the parts are, to the API server.
const USERS: &[(&str, &str, Option<&str>)] = &[
    ("admin", "weft-e2e-admin", Some("system:masters")),
    (
        "kube-controller-manager",
        "system:kube-controller-manager",
        None,
    ),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kube-proxy", "system:kube-proxy", None),
    ("kubelet", "system:node:weft-node", Some("system:nodes")),
];

/// The cluster's authority and what it has issued, with a kubeconfig for each user.
pub(super) fn credentials(url: &str) -> Result<Pki, Error> {
    let dir = place::dir();
    let (pki, issuer) = Pki::authority(dir)?;
    let address = NODE_ADDRESS.to_string();
    let node: &[&str] = &[&address, NODE];
    let api: &[&str] = &[
        &address,
        "10.96.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    pki.issue(&issuer, "etcd", "etcd", None, LOOPBACK)?;
    pki.issue(&issuer, "apiserver", "kube-apiserver", None, api)?;
    for (file, common_name, organization) in USERS {
        pki.issue(&issuer, file, common_name, *organization, node)?;
        kubeconfig::write(
            &kubeconfig_of(file),
            url,
            &pki.ca(),
            &Credential::Certificate {
                certificate: &pki.certificate(file),
                key: &pki.key(file),
            },
        )?;
    }
    Ok(pki)
}

pub(super) fn kubeconfig_of(user: &str) -> PathBuf {
    place::dir().join(format!("{user}.kubeconfig"))
}

pub(super) fn containerd() -> Result<Process, Error> {
    let mut command = Command::new("containerd");
    command.arg("--config").arg(settings::containerd()?);
    start("containerd", command)
}

pub(super) fn controller_manager(pki: &Pki) -> Result<Process, Error> {
    let mut command = with_kubeconfigs(Tool::KubeControllerManager)?;
    command
        .arg(flag("service-account-private-key-file", pki.key("tokens")))
        .arg(flag("root-ca-file", pki.ca()))
        .arg("--use-service-account-credentials")
        .arg("--bind-address=127.0.0.1")
        .arg("--leader-elect=false")
        // A pod whose node is fine is not waited for.
        .arg("--concurrent-deployment-syncs=10");
    start(Tool::KubeControllerManager.name(), command)
}

pub(super) fn scheduler() -> Result<Process, Error> {
    let mut command = with_kubeconfigs(Tool::KubeScheduler)?;
    command
        .arg("--bind-address=127.0.0.1")
        .arg("--leader-elect=false");
    start(Tool::KubeScheduler.name(), command)
}

pub(super) fn kubelet(pki: &Pki) -> Result<Process, Error> {
    let settings = settings::kubelet(&pki.ca(), &pki.certificate("kubelet"), &pki.key("kubelet"))?;
    let mut command = Command::new(find_or_build(Tool::Kubelet)?);
    command
        .arg(flag("config", settings))
        .arg(flag("kubeconfig", kubeconfig_of("kubelet")))
        .arg(format!("--hostname-override={NODE}"))
        .arg(format!("--node-ip={NODE_ADDRESS}"))
        .arg(flag("root-dir", place::dir().join("kubelet")));
    start(Tool::Kubelet.name(), command)
}

pub(super) fn kube_proxy() -> Result<Process, Error> {
    let settings = settings::kube_proxy(&kubeconfig_of("kube-proxy"))?;
    let mut command = Command::new(find_or_build(Tool::KubeProxy)?);
    command.arg(flag("config", settings));
    start(Tool::KubeProxy.name(), command)
}

fn with_kubeconfigs(tool: Tool) -> Result<Command, Error> {
    let mut command = Command::new(find_or_build(tool)?);
    let kubeconfig = kubeconfig_of(tool.name());
    for name in [
        "kubeconfig",
        "authentication-kubeconfig",
        "authorization-kubeconfig",
    ] {
        command.arg(flag(name, kubeconfig.clone()));
    }
    Ok(command)
}

fn start(name: &'static str, command: Command) -> Result<Process, Error> {
    Ok(spawn(name, command, Path::new(place::DIR))?)
}

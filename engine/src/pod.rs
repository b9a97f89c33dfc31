//! A call to a pod that the client chose itself, by its address or by a name that DNS resolves to
//! it. It gets this pod or nothing: no other is as good (the members of a StatefulSet are not
//! alike). What the Service port says that stands for the pod's port holds for the call: protocol,
//! time-outs, pool, the name in metrics. Routes hold where the Service is headless: whoever calls
//! that by name dials pods. Who dials a pod behind a ClusterIP goes past the Service and its
//! routes.

use std::{net::IpAddr, sync::Arc};

use crate::{
    compile::CompiledPort,
    documents::{Backend, ClientPolicy, Protocol, ServiceRef},
};

/// Whether the routes of the Service that stands for the pod's port hold for the call.
pub fn routes_hold(cluster_ips: &[IpAddr]) -> bool {
    cluster_ips.is_empty()
}

/// What stands for the pod's port where no routes hold. `known`: the Service port's; `None`: no
/// Service stands for it, and `mesh` is how it is called.
pub fn without_routes(
    known: Option<&CompiledPort>,
    port: u16,
    mesh: Option<&ClientPolicy>,
) -> CompiledPort {
    let (protocol, policy) = match known {
        Some(known) => (known.protocol, known.policy.clone()),
        None => (Protocol::Auto, Arc::new(mesh.cloned().unwrap_or_default())),
    };
    CompiledPort::without_routes(port, protocol, policy)
}

/// Whether a rule's backend is the very Service port that stands for the pod's: then the pod that
/// was dialled is meant. A subset or another Service is another destination, and balanced over.
pub fn is_meant(stands_for: Option<&ServiceRef>, backend: &Backend) -> bool {
    backend.labels.is_empty() && stands_for == Some(&backend.service)
}

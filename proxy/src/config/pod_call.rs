//! A call to a pod that the client chose itself, with what stands for it at this moment.

use std::sync::Arc;

use weft_engine::{
    compile::CompiledPort,
    documents::{Backend, ClientPolicy, Protocol},
};

use super::{Addressed, ConfigStore, EndpointView, PodView, ServiceView};

/// A call to one pod.
///
/// The client dialled this pod, by its address or by a name that DNS resolves to it, and it gets
/// this pod or nothing: no other is as good (the members of a StatefulSet are not alike). What the
/// Service port says that stands for the pod's port holds for the call: protocol, time-outs, pool,
/// the name in metrics. Routes hold where the Service is headless: whoever calls that by name
/// dials pods. Who dials a pod behind a ClusterIP goes past the Service and its routes.
#[derive(Debug)]
pub struct PodCall {
    /// The pod.
    pub pod: PodView,
    stands_for: StandsFor,
}

#[derive(Debug)]
enum StandsFor {
    /// A headless Service's port, and the same without its routes.
    Headless(Arc<ServiceView>, Box<CompiledPort>),
    /// No routes.
    Plain(Box<CompiledPort>),
}

impl PodCall {
    /// A call to what was `pod` when the connection came.
    pub(crate) async fn to(config: &ConfigStore, pod: &PodView) -> Self {
        // The connection may be older than what is known of the pod. One that is gone is called
        // as it was: nobody else can prove its identity.
        let pod = match config.known_pod_at(pod.address) {
            Addressed::Pod(now) => now,
            Addressed::Outside | Addressed::Unreadable => pod.clone(),
        };
        let view = match &pod.service {
            Some(service) => config.service(&service.namespace, &service.name).await,
            None => None,
        };
        let port = pod.service.as_ref().map_or(0, |service| service.port);
        let known = view.as_ref().and_then(|view| view.compiled.port(port));
        let (protocol, policy) = match known {
            Some(known) => (known.protocol, known.policy.clone()),
            None => {
                let mesh = config.mesh();
                let policy = mesh.map(|mesh| mesh.client_policy.clone());
                (Protocol::Auto, policy.unwrap_or_default())
            }
        };
        let plain = Box::new(CompiledPort::without_routes(port, protocol, policy));
        let stands_for = match view {
            Some(view) if view.cluster_ips().is_empty() => StandsFor::Headless(view, plain),
            _ => StandsFor::Plain(plain),
        };
        Self { pod, stands_for }
    }

    /// Routes, policy and protocol.
    pub fn port(&self) -> &CompiledPort {
        match &self.stands_for {
            StandsFor::Headless(view, plain) => view.compiled.port(plain.port).unwrap_or(plain),
            StandsFor::Plain(port) => port,
        }
    }

    /// Namespace, Service and port, as metrics name them: the Service's, or the pod's namespace,
    /// nothing, and the dialled port.
    pub fn names(&self) -> (&str, &str, u16) {
        match &self.pod.service {
            Some(service) => (&service.namespace, &service.name, service.port),
            None => (self.pod.identity.namespace(), "", self.pod.address.port()),
        }
    }

    /// Whether a rule's backend is the very Service port that was called: then the pod that was
    /// dialled is meant. A subset or another Service is another destination, and balanced over.
    pub fn is_meant(&self, backend: &Backend) -> bool {
        backend.labels.is_empty() && self.pod.service.as_deref() == Some(&backend.service)
    }

    /// How its pool behaves. An outlier detection would have nobody to prefer.
    pub(crate) fn policy(&self) -> ClientPolicy {
        ClientPolicy {
            outlier_detection: None,
            ..self.port().policy.clone()
        }
    }

    /// The pod as an endpoint.
    pub(crate) fn endpoint(&self) -> EndpointView {
        EndpointView {
            address: self.pod.address,
            identity: Some(self.pod.identity.clone()),
            zone: None,
            labels: Arc::default(),
            ready: true,
        }
    }
}

//! A call to a pod that the client chose itself, with what stands for it at this moment.

use std::sync::Arc;

use weft_engine::{
    compile::CompiledPort,
    documents::{Backend, ClientPolicy, Labels},
    pod,
};

use super::{Addressed, ConfigStore, EndpointView, PodView, ServiceView};

/// A call to one pod; what it means, [`pod`] says.
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
    pub(crate) async fn to(config: &ConfigStore, dialled: &PodView) -> Self {
        // The connection may be older than what is known of the pod. One that is gone is called
        // as it was: nobody else can prove its identity.
        let now = match config.known_pod_at(dialled.address) {
            Addressed::Pod(known) => known,
            Addressed::Outside | Addressed::Unreadable => dialled.clone(),
        };
        let view = match &now.service {
            Some(service) => config.service(&service.namespace, &service.name).await,
            None => None,
        };
        let port = now.service.as_ref().map_or(0, |service| service.port);
        let known = view.as_ref().and_then(|view| view.compiled.port(port));
        let mesh = config.mesh();
        let mesh = mesh.as_ref().map(|mesh| &mesh.client_policy);
        let plain = Box::new(pod::without_routes(known, port, mesh));
        let stands_for = match view {
            Some(view) if pod::routes_hold(view.cluster_ips()) => StandsFor::Headless(view, plain),
            _ => StandsFor::Plain(plain),
        };
        Self {
            pod: now,
            stands_for,
        }
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

    /// Whether a rule's backend is the pod that was dialled.
    pub fn is_meant(&self, backend: &Backend) -> bool {
        pod::is_meant(self.pod.service.as_deref(), backend)
    }

    /// How its pool behaves. An outlier detection would have nobody to prefer.
    pub(crate) fn policy(&self) -> ClientPolicy {
        ClientPolicy {
            outlier_detection: None,
            ..ClientPolicy::clone(&self.port().policy)
        }
    }

    /// The pod as an endpoint.
    pub(crate) fn endpoint(&self) -> EndpointView {
        EndpointView {
            address: self.pod.address,
            identity: Some(self.pod.identity.clone()),
            zone: None,
            labels: Labels::default(),
            ready: true,
        }
    }
}

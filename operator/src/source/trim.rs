use k8s_openapi::api::core::v1::{Container, Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource;

/// Objects whose unused parts can be dropped before they are handed on.
pub(super) trait Trim {
    /// Drops what lowering never reads.
    fn trim(&mut self);
}

impl Trim for Namespace {
    fn trim(&mut self) {
        metadata(self);
        self.status = None;
    }
}

impl Trim for Service {
    fn trim(&mut self) {
        metadata(self);
        self.status = None;
    }
}

impl Trim for EndpointSlice {
    fn trim(&mut self) {
        metadata(self);
    }
}

impl Trim for Pod {
    fn trim(&mut self) {
        metadata(self);
        if let Some(spec) = &mut self.spec {
            let sidecars = spec.init_containers.iter_mut().flatten();
            for container in spec.containers.iter_mut().chain(sidecars) {
                // A Service's targetPort may be the name of a container's port.
                *container = Container {
                    name: std::mem::take(&mut container.name),
                    ports: container.ports.take(),
                    ..Container::default()
                };
            }
            spec.volumes = None;
            spec.affinity = None;
            spec.tolerations = None;
        }
        if let Some(status) = &mut self.status {
            status.container_statuses = None;
            status.init_container_statuses = None;
        }
    }
}

impl Trim for ServiceAccount {
    fn trim(&mut self) {
        metadata(self);
        self.secrets = None;
        self.image_pull_secrets = None;
    }
}

fn metadata(object: &mut impl Resource) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    metadata.owner_references = None;
    metadata.finalizers = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| key.starts_with("weft.dev/"));
    }
}

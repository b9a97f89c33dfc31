use k8s_openapi::api::core::v1::{Namespace, Pod, Service, ServiceAccount};
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
        self.status = None;
        if let Some(spec) = &mut self.spec {
            spec.containers.clear();
            spec.init_containers = None;
            spec.volumes = None;
            spec.affinity = None;
            spec.tolerations = None;
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

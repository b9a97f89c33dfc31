use k8s_openapi::api::core::v1::Pod;
use kube::core::admission::{AdmissionRequest, AdmissionResponse};
use weft_inject::{Outcome, Settings, inject};

use super::Answer;

/// A proxy for the pod, or why it is refused.
pub(super) fn answer(request: &AdmissionRequest<Pod>, settings: &Settings) -> Answer {
    let response = AdmissionResponse::from(request);
    let Some(pod) = &request.object else {
        return (response.deny("the request holds no pod"), "refused");
    };
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let metadata = &pod.metadata;
    let name = metadata.name.as_ref().or(metadata.generate_name.as_ref());
    let name = name.map_or("", String::as_str);
    match inject(pod, settings) {
        Ok(Outcome::Patched(patch)) => match response.with_patch(patch) {
            Ok(response) => {
                tracing::debug!(namespace, name, "a pod gets a proxy");
                (response, "injected")
            }
            Err(error) => {
                let response = AdmissionResponse::from(request);
                (response.deny(error), "refused")
            }
        },
        Ok(Outcome::Left(reason)) => {
            let mut response = response;
            if let Some(warning) = reason.warning() {
                tracing::info!(
                    namespace,
                    name,
                    reason = reason.as_str(),
                    "a pod stays outside the mesh"
                );
                response.warnings = Some(vec![format!("weft: {warning}")]);
            }
            (response, reason.as_str())
        }
        Err(error) => {
            tracing::warn!(namespace, name, %error, "a pod is refused");
            (response.deny(format!("weft: {error}")), "refused")
        }
    }
}

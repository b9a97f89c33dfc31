use std::time::Duration;

use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde::Serialize;
use serde_json::json;
use weft_crds::{
    ObjectRef,
    status::{GatewayStatus, Status},
};

use super::{StatusError, StatusWriter};
use crate::{publish::FIELD_MANAGER, source::resource_of};

/// The bound on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Statuses in the status subresource, by server-side apply: what a status says no more is
/// removed, and nobody else's fields are touched.
#[derive(Clone)]
pub struct StatusApi {
    client: Client,
}

impl StatusApi {
    /// Statuses through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl StatusApi {
    async fn put(&self, object: &ObjectRef, status: &impl Serialize) -> Result<(), StatusError> {
        let resource = resource_of(object.kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &object.namespace, &resource);
        let patch = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": { "name": object.name },
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&patch);
        let call = api.patch_status(&object.name, &params, &patch);
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(_)) => Ok(()),
            // Deleted since: there is nobody to tell.
            Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => Ok(()),
            Ok(Err(source)) => Err(StatusError::Api {
                object: object.to_string(),
                source: Box::new(source),
            }),
            Err(_) => Err(StatusError::Timeout {
                object: object.to_string(),
                seconds: CALL_TIMEOUT.as_secs(),
            }),
        }
    }
}

impl StatusWriter for StatusApi {
    async fn write(&self, object: &ObjectRef, status: &Status) -> Result<(), StatusError> {
        self.put(object, status).await
    }

    async fn write_gateway(
        &self,
        gateway: &ObjectRef,
        status: &GatewayStatus,
    ) -> Result<(), StatusError> {
        self.put(gateway, status).await
    }

    async fn remove(&self, _object: &ObjectRef) -> Result<(), StatusError> {
        // It went with the object.
        Ok(())
    }

    async fn write_file(&self, _file: &str, _status: Option<&Status>) -> Result<(), StatusError> {
        Ok(())
    }
}

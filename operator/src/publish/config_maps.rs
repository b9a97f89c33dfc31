use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
};
use weft_engine::documents::{DocumentName, Envelope};

use super::{
    DATA_KEY, DIGEST, FIELD_MANAGER, MANAGED_BY, MANAGED_BY_WEFT, Observation, PublishError,
    Publisher,
};

/// What fits into a ConfigMap: 1 MiB for the whole object, less its metadata.
const MOST_BYTES: usize = 1_000_000;

/// The bound on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Documents as ConfigMaps of one namespace.
#[derive(Clone)]
pub struct ConfigMaps {
    api: Api<ConfigMap>,
}

impl ConfigMaps {
    /// Documents in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
        }
    }

    /// What a watch of these ConfigMaps' metadata saw, if it is a document.
    pub fn observed(metadata: &ObjectMeta) -> Option<Observation> {
        let digest = metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(DIGEST))
            .cloned()
            .unwrap_or_default();
        Some(Observation {
            name: metadata.name.as_deref()?.parse().ok()?,
            digest: Some(digest),
            version: version_of(metadata).unwrap_or_default(),
        })
    }

    /// What a watch saw of a ConfigMap that is gone, if it was a document.
    pub fn missed(name: &str, version: u64) -> Option<Observation> {
        Some(Observation {
            name: name.parse().ok()?,
            digest: None,
            version,
        })
    }
}

impl Publisher for ConfigMaps {
    async fn write(
        &self,
        name: &DocumentName,
        envelope: &Envelope,
    ) -> Result<(Option<u64>, usize), PublishError> {
        let name = name.to_string();
        let text = envelope.to_json();
        let bytes = text.len();
        if bytes > MOST_BYTES {
            return Err(PublishError::TooLarge {
                name,
                bytes,
                most: MOST_BYTES,
            });
        }
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(BTreeMap::from([(
                    MANAGED_BY.to_owned(),
                    MANAGED_BY_WEFT.to_owned(),
                )])),
                annotations: Some(BTreeMap::from([(
                    DIGEST.to_owned(),
                    envelope.digest.clone(),
                )])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(DATA_KEY.to_owned(), text)])),
            ..ConfigMap::default()
        };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&object);
        let written = bounded(&name, self.api.patch_metadata(&name, &params, &patch)).await?;
        Ok((version_of(&written.metadata), bytes))
    }

    async fn withdraw(&self, name: &DocumentName) -> Result<(), PublishError> {
        let name = name.to_string();
        let params = DeleteParams::default();
        match bounded(&name, self.api.delete(&name, &params)).await {
            Err(PublishError::Api { source, .. }) if is_status(&source, 404) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// Resource versions of one resource are ordered integers (KEP-5504, Kubernetes 1.35; etcd
/// revisions always were).
fn version_of(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_deref()?.parse().ok()
}

async fn bounded<T>(
    name: &str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, PublishError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(PublishError::Api {
            name: name.to_owned(),
            hint: if is_status(&source, 403) {
                "check the Role weft-operator in the config namespace"
            } else if is_status(&source, 404) {
                "does the config namespace exist? it is part of config/operator"
            } else {
                "check that the API server is reachable and not overloaded"
            },
            source: Box::new(source),
        }),
        Err(_) => Err(PublishError::Timeout {
            name: name.to_owned(),
            seconds: CALL_TIMEOUT.as_secs(),
        }),
    }
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

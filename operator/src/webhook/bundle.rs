use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::ByteString;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::lease::Leadership;

/// The configurations whose `caBundle` is ours.
const CONFIGURATIONS: [(&str, &str); 2] = [
    ("MutatingWebhookConfiguration", "weft-injector"),
    ("ValidatingWebhookConfiguration", "weft-validator"),
];

/// Owns `caBundle` and nothing else: whoever applies the rest of the configuration, by hand or
/// from a Git repository, applies without it and sees no drift.
const FIELD_MANAGER: &str = "weft-webhook";

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after a refused write.
const RETRY: Duration = Duration::from_secs(2);

/// Keeps the roots in the webhook configurations while this operator leads.
pub async fn keep(
    client: Client,
    bundle: watch::Receiver<Option<Arc<str>>>,
    leadership: Leadership,
    stop: CancellationToken,
) {
    let keep = CONFIGURATIONS.map(|(kind, name)| {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::all_with(client.clone(), &resource);
        keep_one(api, resource, name, bundle.clone(), leadership.clone())
    });
    tokio::select! {
        () = stop.cancelled() => {}
        _ = futures::future::join_all(keep) => {}
    }
}

async fn keep_one(
    api: Api<DynamicObject>,
    resource: ApiResource,
    name: &'static str,
    mut bundle: watch::Receiver<Option<Arc<str>>>,
    mut leadership: Leadership,
) {
    let objects = watcher::watch_object(api.clone(), name).default_backoff();
    let mut objects = std::pin::pin!(objects);
    let mut found: Option<DynamicObject> = None;
    let mut pause = None;
    loop {
        tokio::select! {
            object = objects.next() => match object {
                Some(Ok(object)) => found = object,
                Some(Err(error)) => {
                    tracing::warn!(%name, %error, "the webhook configuration cannot be watched");
                }
                None => return,
            },
            changed = bundle.changed() => if changed.is_err() { return },
            () = leadership.changed() => {}
            () = wait(pause) => {}
        }
        pause = None;
        let roots = bundle.borrow_and_update().clone();
        let (Some(found), Some(roots)) = (&found, roots) else {
            continue;
        };
        if !leadership.holds() {
            continue;
        }
        let Some(patch) = missing(found, &resource, &roots) else {
            continue;
        };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&patch);
        match timeout(CALL_TIMEOUT, api.patch(name, &params, &patch)).await {
            Ok(Ok(_)) => tracing::info!(%name, "told the API server how to verify the webhooks"),
            Ok(Err(error)) => {
                tracing::error!(%name, %error, "the webhook configuration's caBundle is not written; check the operator's RBAC");
                pause = Some(RETRY);
            }
            Err(_) => {
                tracing::error!(%name, "the API server did not answer in time");
                pause = Some(RETRY);
            }
        }
    }
}

async fn wait(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// What is to be applied so that every webhook has these roots; `None`: they all have.
fn missing(found: &DynamicObject, resource: &ApiResource, roots: &str) -> Option<Value> {
    let roots = serde_json::to_value(ByteString(roots.as_bytes().to_vec())).ok()?;
    let webhooks = found.data.get("webhooks")?.as_array()?;
    let has_all = webhooks
        .iter()
        .all(|webhook| webhook.pointer("/clientConfig/caBundle") == Some(&roots));
    if has_all {
        return None;
    }
    let webhooks: Vec<_> = webhooks
        .iter()
        .filter_map(|webhook| webhook.get("name"))
        .map(|name| json!({"name": name, "clientConfig": {"caBundle": roots}}))
        .collect();
    Some(json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": found.name_any()},
        "webhooks": webhooks,
    }))
}

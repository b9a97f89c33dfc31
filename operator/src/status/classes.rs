use std::time::Duration;

use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use weft_crds::CONTROLLER;

use crate::{lease::Leadership, publish::FIELD_MANAGER};

/// The one class that is served.
const CLASS: &str = "weft";

/// Classes are few and written once: asking for them costs less than a watch that must know
/// whether the Gateway API is installed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepts the GatewayClasses that name this controller, while this operator leads.
pub async fn accept_classes(client: Client, leadership: Leadership, stop: CancellationToken) {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "GatewayClass");
    let resource = ApiResource::from_gvk_with_plural(&kind, "gatewayclasses");
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut told = false;
    loop {
        if leadership.holds() {
            match timeout(CALL_TIMEOUT, accept(&api, &resource)).await {
                // Not installed.
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => {}
                Ok(Ok(())) => told = false,
                Ok(Err(error)) if !told => {
                    told = true;
                    tracing::warn!(%error, "GatewayClasses are not accepted; check the ClusterRole weft-operator");
                }
                _ => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(ASK_AGAIN) => {}
        }
    }
}

async fn accept(api: &Api<DynamicObject>, resource: &ApiResource) -> kube::Result<()> {
    // A cluster has a handful; more than these are somebody's mistake.
    for class in api.list(&ListParams::default().limit(500)).await? {
        let ours = class
            .data
            .pointer("/spec/controllerName")
            .and_then(Value::as_str);
        let name = class.metadata.name.clone().unwrap_or_default();
        if ours != Some(CONTROLLER) {
            continue;
        }
        let Some(condition) = missing(&class, &name) else {
            continue;
        };
        let patch = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "status": {"conditions": [condition]},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch_status(&name, &params, &Patch::Apply(&patch))
            .await?;
        tracing::info!(class = name, "told a GatewayClass whether it is served");
    }
    Ok(())
}

/// The condition that a class should have; `None`: it has.
fn missing(class: &DynamicObject, name: &str) -> Option<Value> {
    let generation = class.metadata.generation.unwrap_or_default();
    let (status, reason, message) = if name == CLASS {
        ("True", "Accepted", "Gateways of this class are served")
    } else {
        (
            "False",
            "InvalidParameters",
            "only the class called weft is served; use gatewayClassName: weft",
        )
    };
    let conditions = class.data.pointer("/status/conditions");
    let mut accepted = conditions.and_then(Value::as_array).into_iter().flatten();
    let stands = accepted.any(|condition| {
        condition["type"] == "Accepted"
            && condition["status"] == status
            && condition["observedGeneration"] == generation
    });
    (!stands).then(|| {
        json!({
            "type": "Accepted",
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    })
}

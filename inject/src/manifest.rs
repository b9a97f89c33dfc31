use k8s_openapi::{
    api::core::v1::{Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};

use crate::{InjectError, Outcome, Settings, inject};

/// Puts the proxy into a manifest: a Pod, or whatever makes pods from a template. `None`: it
/// makes none, and is as it was.
///
/// # Errors
/// As [`inject`]; the manifest is as it was then.
pub fn inject_manifest(
    manifest: &mut Value,
    settings: &Settings,
) -> Result<Option<Outcome>, InjectError> {
    let text = |path: &str| manifest.pointer(path).and_then(Value::as_str).unwrap_or("");
    let group = text("/apiVersion")
        .rsplit_once('/')
        .map_or("", |(group, _)| group);
    let template = match (group, text("/kind")) {
        ("", "Pod") => "",
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job")
        | ("", "ReplicationController") => "/spec/template",
        ("", "PodTemplate") => "/template",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
        _ => return Ok(None),
    };
    let Some(template) = manifest.pointer_mut(template) else {
        return Err(InjectError::Shape(format!("{template} is missing")));
    };
    let pod = read(template)?;
    let outcome = inject(&pod, settings)?;
    if let Outcome::Patched(patch) = &outcome {
        let mut patched = template.clone();
        let fields = patched.as_object_mut();
        if let Some(fields) = fields {
            let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
            if metadata.is_null() {
                *metadata = json!({});
            }
        }
        json_patch::patch(&mut patched, patch)
            .map_err(|error| InjectError::Shape(error.to_string()))?;
        *template = patched;
    }
    Ok(Some(outcome))
}

/// A template is a pod without a kind.
fn read(template: &Value) -> Result<Pod, InjectError> {
    fn part<T: serde::de::DeserializeOwned>(
        template: &Value,
        name: &str,
    ) -> Result<Option<T>, InjectError> {
        match template.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| InjectError::Shape(format!("{name}: {error}"))),
        }
    }
    Ok(Pod {
        metadata: part::<ObjectMeta>(template, "metadata")?.unwrap_or_default(),
        spec: part::<PodSpec>(template, "spec")?,
        status: None,
    })
}

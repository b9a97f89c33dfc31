//! The three CustomResourceDefinitions, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition,
};
use kube::CustomResourceExt;
use schemars::Schema;
use serde_json::{Value, json};

use crate::{AuthPolicy, MeshPolicy, VirtualRoute};

/// All three, in the order in which they are documented.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    [VirtualRoute::crd(), MeshPolicy::crd(), AuthPolicy::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

/// The file that holds a definition: `virtualroutes.weft.dev.yaml`.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!(
        "{}.yaml",
        definition.metadata.name.as_deref().unwrap_or("crd")
    )
}

/// A definition as it stands in `config/crd`.
pub fn to_yaml(
    definition: &CustomResourceDefinition,
) -> Result<String, serde_saphyr::SerializeError> {
    // By way of a value: its maps are ordered, so the same types give the same bytes.
    let value = serde_json::to_value(definition).unwrap_or(Value::Null);
    Ok(format!(
        "# Generated from crds/src by `cargo run -p weft-crds --bin weft-crdgen`; do not edit.\n{}",
        serde_saphyr::to_string(&value)?
    ))
}

/// Values of a map of labels: at most 63 characters.
pub(crate) fn label_values(schema: &mut Schema) {
    bound_values(schema, 63);
}

/// Values of a map of headers: at most 1024 characters.
pub(crate) fn header_values(schema: &mut Schema) {
    bound_values(schema, 1024);
}

fn bound_values(schema: &mut Schema, max: u32) {
    if let Some(values) = schema
        .get_mut("additionalProperties")
        .and_then(Value::as_object_mut)
    {
        values.insert("maxLength".to_owned(), json!(max));
    }
}

fn finish(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns());
        if let Some(schema) = &mut version.schema
            && let Ok(mut value) = serde_json::to_value(&*schema)
        {
            if let Some(root) = value.get_mut("openAPIV3Schema") {
                tidy(root);
                complete_root(root);
            }
            if let Ok(tidied) = serde_json::from_value(value) {
                *schema = tidied;
            }
        }
    }
    definition
}

/// What `kubectl get` prints.
fn columns() -> Vec<CustomResourceColumnDefinition> {
    let column =
        |name: &str, type_: &str, path: &str, description: &str| CustomResourceColumnDefinition {
            name: name.to_owned(),
            type_: type_.to_owned(),
            json_path: path.to_owned(),
            description: Some(description.to_owned()),
            ..Default::default()
        };
    vec![
        column(
            "Ready",
            "string",
            r#".status.conditions[?(@.type=="Ready")].status"#,
            "Whether it does what it says.",
        ),
        column(
            "Reason",
            "string",
            r#".status.conditions[?(@.type=="Ready")].reason"#,
            "Why it is ready, or why not.",
        ),
        column(
            "Targets",
            "string",
            ".status.targets",
            "Targets that were found, of all that it names.",
        ),
        column(
            "Programmed",
            "string",
            ".status.programmed",
            "Proxies that have it active, of all that should.",
        ),
        column(
            "Age",
            "date",
            ".metadata.creationTimestamp",
            "When it was created.",
        ),
    ]
}

/// Removes what a structural schema has no use for: `nullable` (an explicit null is pruned, as
/// in the built-in kinds, so that CEL's `has()` means "was given") and Rust's number formats,
/// which the API server warns about.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            if fields
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| {
                    format.starts_with("uint") || format == "int8" || format == "int16"
                })
            {
                fields.remove("format");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// An object without a spec means nothing; and a new object says `observedGeneration: -1` until
/// the operator has seen it, so that kstatus computes InProgress and not Current.
fn complete_root(root: &mut Value) {
    if let Some(fields) = root.as_object_mut() {
        // The Rust type's name.
        fields.remove("title");
        fields.insert("required".to_owned(), json!(["spec"]));
    }
    if let Some(status) = root
        .pointer_mut("/properties/status")
        .and_then(Value::as_object_mut)
    {
        status.insert("default".to_owned(), json!({ "observedGeneration": -1 }));
    }
}

#[cfg(test)]
mod tests;

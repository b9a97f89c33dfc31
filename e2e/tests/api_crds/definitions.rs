use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray as Items, JSONSchemaPropsOrBool as Additional,
};
use kube::ResourceExt;
use weft_e2e::control_plane::ControlPlane;

use crate::stage::{KINDS, definitions, plane};

#[tokio::test]
async fn the_definitions_install_and_a_second_apply_changes_nothing() {
    // A control plane of its own: what is looked at here must not be applied by others meanwhile.
    let plane = ControlPlane::start().await.unwrap();
    let first = plane.install_crds().await.unwrap();
    assert_eq!(first.stderr, "", "the API server warns");
    assert_eq!(first.stdout.lines().count(), 3, "{}", first.stdout);

    let client = plane.client().await.unwrap();
    let before = definitions(&client).await;
    for definition in &before {
        let conditions = definition.status.clone().unwrap_or_default().conditions;
        for condition in conditions.unwrap_or_default() {
            let good = matches!(condition.type_.as_str(), "Established" | "NamesAccepted");
            assert_eq!(
                condition.status == "True",
                good,
                "{}: {}: {:?}",
                definition.name_any(),
                condition.type_,
                condition.message
            );
        }
    }

    let second = plane.install_crds().await.unwrap();
    assert_eq!(second.stderr, "");
    let after = definitions(&client).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.metadata.generation, after.metadata.generation);
        assert_eq!(
            before.resource_version(),
            after.resource_version(),
            "{} was written again",
            before.name_any()
        );
    }
}

#[tokio::test]
async fn every_field_has_a_description_and_every_list_map_and_string_a_bound() {
    let plane = plane().await;
    let client = plane.client().await.unwrap();
    let mut wanting = Vec::new();
    for (definition, kind) in definitions(&client).await.iter().zip(KINDS) {
        for version in &definition.spec.versions {
            let schema = version.schema.as_ref().unwrap();
            let root = schema.open_api_v3_schema.as_ref().unwrap();
            for (name, field) in root.properties.iter().flatten() {
                if name == "spec" || name == "status" {
                    walk(field, &format!("{kind}.{name}"), &mut wanting);
                }
            }
        }
    }
    assert!(wanting.is_empty(), "{}", wanting.join("\n"));
}

fn walk(schema: &JSONSchemaProps, at: &str, wanting: &mut Vec<String>) {
    if schema.description.as_deref().unwrap_or("").is_empty() {
        wanting.push(format!("{at} has no description"));
    }
    bounds(schema, at, wanting);
    for (name, field) in schema.properties.iter().flatten() {
        walk(field, &format!("{at}.{name}"), wanting);
    }
}

/// CEL's cost, and what a hostile object can cost the operator, both come from missing bounds.
fn bounds(schema: &JSONSchemaProps, at: &str, wanting: &mut Vec<String>) {
    let spec = at.split('.').nth(1) == Some("spec");
    match schema.type_.as_deref() {
        Some("array") => {
            if spec && schema.max_items.is_none() {
                wanting.push(format!("{at} has no maxItems"));
            }
            if let Some(Items::Schema(item)) = &schema.items {
                bounds(item, &format!("{at}[]"), wanting);
                for (name, field) in item.properties.iter().flatten() {
                    walk(field, &format!("{at}[].{name}"), wanting);
                }
            }
        }
        Some("object") => {
            if let Some(Additional::Schema(value)) = &schema.additional_properties {
                if spec && schema.max_properties.is_none() {
                    wanting.push(format!("{at} has no maxProperties"));
                }
                bounds(value, &format!("{at}{{}}"), wanting);
            }
        }
        Some("string") if spec && schema.enum_.is_none() && schema.max_length.is_none() => {
            wanting.push(format!("{at} has no maxLength"));
        }
        _ => {}
    }
}

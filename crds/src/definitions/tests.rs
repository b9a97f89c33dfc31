use std::{fs, path::Path};

use super::{definitions, file_name, to_yaml};

#[test]
fn generated_crds_match_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd");
    for definition in definitions() {
        let file = folder.join(file_name(&definition));
        let installed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            installed == to_yaml(&definition).unwrap(),
            "{} differs from crds/src; run `cargo run -p weft-crds --bin weft-crdgen`",
            file.display()
        );
    }
}

#[test]
fn every_field_is_described() {
    fn walk(schema: &serde_json::Value, path: &str) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(
                field["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{path} has no description"
            );
            walk(field, &path);
            walk(&field["items"], &format!("{path}[]"));
        }
    }
    for definition in definitions() {
        let kind = &definition.spec.names.kind;
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        for part in ["spec", "status"] {
            walk(
                &schema["openAPIV3Schema"]["properties"][part],
                &format!("{kind}.{part}"),
            );
        }
    }
}

#[test]
fn every_list_map_and_text_has_a_bound() {
    fn walk(schema: &serde_json::Value, path: &str) {
        match schema["type"].as_str() {
            Some("array") => assert!(schema["maxItems"].is_u64(), "{path} has no maxItems"),
            Some("string") if schema["enum"].is_null() && schema["format"].is_null() => {
                assert!(schema["maxLength"].is_u64(), "{path} has no maxLength");
            }
            Some("object") if schema["additionalProperties"].is_object() => {
                assert!(
                    schema["maxProperties"].is_u64(),
                    "{path} has no maxProperties"
                );
                walk(&schema["additionalProperties"], &format!("{path}.*"));
            }
            _ => {}
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, &format!("{path}.{name}"));
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{path}[]"));
        }
    }
    for definition in definitions() {
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        for part in ["spec", "status"] {
            walk(&schema["openAPIV3Schema"]["properties"][part], part);
        }
    }
}

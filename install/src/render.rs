use serde_json::{Value, json};

use crate::{Error, SETTINGS, Values, source::FILES};

/// The objects to apply, in order.
///
/// # Errors
/// Where the manifests do not hold what a setting names.
pub fn install(values: &Values) -> Result<Vec<Value>, Error> {
    let mut objects = Vec::new();
    for file in FILES {
        if file.is_gateway() && !values.has_gateway() {
            continue;
        }
        for mut object in file.objects()? {
            if object["kind"] == "Namespace" && !values.has_namespaces() {
                continue;
            }
            for setting in SETTINGS {
                for place in setting.places {
                    if !place.is_in(&object) {
                        continue;
                    }
                    let field = place.find(&mut object).ok_or_else(|| Error::Source {
                        path: file.path,
                        why: format!("there is no {} for {}", place.path, setting.key),
                    })?;
                    *field = values.get(setting).clone();
                }
            }
            objects.push(object);
        }
    }
    Ok(objects)
}

/// The objects to delete, by name, in order: the webhooks first, so that no pod waits for an
/// operator that is gone.
///
/// Left alone are the namespaces, in which the CA and the config documents stand, and the CRDs,
/// with which every object of theirs would go. `all` names them too.
///
/// # Errors
/// Where the manifests are not YAML.
pub fn uninstall(all: bool) -> Result<Vec<Value>, Error> {
    let mut objects = Vec::new();
    for file in FILES {
        objects.extend(file.objects()?);
    }
    objects.reverse();
    objects.sort_by_key(|object| match object["kind"].as_str().unwrap_or_default() {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => 0,
        "Namespace" => 2,
        "CustomResourceDefinition" => 3,
        _ => 1,
    });
    let kept = ["Namespace", "CustomResourceDefinition"];
    let names = objects
        .iter()
        .filter(|object| all || !kept.iter().any(|kind| object["kind"] == *kind));
    Ok(names
        .map(|object| {
            let metadata = match object["metadata"].get("namespace") {
                Some(namespace) => {
                    json!({"name": object["metadata"]["name"], "namespace": namespace})
                }
                None => json!({"name": object["metadata"]["name"]}),
            };
            json!({
                "apiVersion": object["apiVersion"],
                "kind": object["kind"],
                "metadata": metadata,
            })
        })
        .collect())
}

/// A stream of YAML documents.
///
/// # Errors
/// Where an object cannot be written as YAML.
pub fn to_yaml(objects: &[Value]) -> Result<String, Error> {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        text.push_str(
            &serde_saphyr::to_string(object).map_err(|error| Error::Yaml(error.to_string()))?,
        );
    }
    Ok(text)
}

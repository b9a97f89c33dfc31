use serde_json::{Map, Value};

use crate::{
    Error, SETTINGS,
    settings::{GATEWAY, NAMESPACES, Setting},
};

/// What an installation chose, over the defaults: the tree of the chart's `values.yaml`, merged as
/// Helm merges it (a `null` takes a field away).
#[derive(Clone, Debug, PartialEq)]
pub struct Values(Value);

impl Values {
    /// What the manifests say.
    ///
    /// # Errors
    /// Where the manifests do not hold what a setting names.
    pub fn defaults() -> Result<Self, Error> {
        let mut tree = Value::Object(Map::new());
        for setting in SETTINGS {
            json_patch::merge(&mut tree, &nested(setting.key, setting.default()?));
        }
        Ok(Self(tree))
    }

    /// Lays a values file over them.
    ///
    /// # Errors
    /// Where it is no YAML, names no setting, or gives one a value that it cannot have.
    pub fn overlay(&mut self, yaml: &str) -> Result<(), Error> {
        let tree: Value =
            serde_saphyr::from_str(yaml).map_err(|error| Error::Yaml(error.to_string()))?;
        match tree {
            // A file of comments.
            Value::Null => Ok(()),
            tree => self.merge(&tree),
        }
    }

    /// Sets one: `operator.replicas` to `3`, or a field of one:
    /// `operator.resources.limits.memory` to `1Gi`. The text is YAML.
    ///
    /// # Errors
    /// As [`Self::overlay`].
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
        let value = serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
        self.merge(&nested(key, value))
    }

    fn merge(&mut self, patch: &Value) -> Result<(), Error> {
        known("", patch)?;
        let mut tree = self.0.clone();
        json_patch::merge(&mut tree, patch);
        let merged = Self(tree);
        for setting in SETTINGS {
            setting.check(merged.get(setting))?;
        }
        *self = merged;
        Ok(())
    }

    pub(crate) fn get(&self, setting: &Setting) -> &Value {
        self.at(setting.key)
    }

    pub(crate) fn has_namespaces(&self) -> bool {
        self.at(NAMESPACES) == &Value::Bool(true)
    }

    pub(crate) fn has_gateway(&self) -> bool {
        self.at(GATEWAY) == &Value::Bool(true)
    }

    fn at(&self, key: &str) -> &Value {
        let pointer = format!("/{}", key.replace('.', "/"));
        self.0.pointer(&pointer).unwrap_or(&Value::Null)
    }
}

/// `a.b` and 1: `{a: {b: 1}}`.
fn nested(key: &str, value: Value) -> Value {
    key.rsplit('.').fold(value, |inner, step| {
        Value::Object(Map::from_iter([(step.to_owned(), inner)]))
    })
}

/// Refuses names that mean nothing: an installation with a mistyped setting is another than was
/// meant.
fn known(above: &str, tree: &Value) -> Result<(), Error> {
    let unknown = |key: &str| Error::Unknown {
        key: key.to_owned(),
        known: keys(),
    };
    let Some(fields) = tree.as_object() else {
        return Err(unknown(above));
    };
    for (name, value) in fields {
        let key = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        if SETTINGS.iter().any(|setting| setting.key == key) {
            continue;
        }
        let group = format!("{key}.");
        if !SETTINGS
            .iter()
            .any(|setting| setting.key.starts_with(&group))
        {
            return Err(unknown(&key));
        }
        known(&key, value)?;
    }
    Ok(())
}

fn keys() -> String {
    let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    keys.join(", ")
}

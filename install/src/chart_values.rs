use serde_json::{Value, json};

use crate::{Error, SETTINGS, chart::GENERATED, settings::Form};

/// `values.yaml`: every setting with what it decides and its default.
pub(crate) fn values() -> Result<String, Error> {
    let mut text = format!("# {GENERATED}\n");
    let mut group = "";
    for setting in SETTINGS {
        let (above, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if above != group {
            text.push_str(&format!("\n{above}:\n"));
            group = above;
        } else if group.is_empty() {
            text.push('\n');
        }
        let indent = if group.is_empty() { "" } else { "  " };
        text.push_str(&format!("{indent}# {}\n", setting.about));
        let value = serde_saphyr::to_string(&json!({name: setting.default()?}))
            .map_err(|error| Error::Yaml(error.to_string()))?;
        for line in value.lines() {
            text.push_str(&format!("{indent}{line}\n"));
        }
    }
    Ok(text)
}

/// `values.schema.json`: a mistyped setting is refused.
pub(crate) fn schema() -> Result<String, Error> {
    // Helm adds `global` to the values of every chart.
    let mut root = object();
    root["properties"]["global"] = json!({"type": "object"});
    root["$schema"] = json!("https://json-schema.org/draft-07/schema#");
    for setting in SETTINGS {
        let mut at = &mut root;
        let mut steps: Vec<&str> = setting.key.split('.').collect();
        let name = steps.pop().unwrap_or_default();
        for step in steps {
            let properties = &mut at["properties"];
            if properties.get(step).is_none() {
                properties[step] = object();
            }
            at = &mut properties[step];
        }
        let mut schema = setting.form.schema();
        schema["description"] = json!(setting.about);
        at["properties"][name] = schema;
    }
    serde_json::to_string_pretty(&root)
        .map(|text| text + "\n")
        .map_err(|error| Error::Yaml(error.to_string()))
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
}

impl Form {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string", "minLength": 1}),
            Self::Count => json!({"type": "integer", "minimum": 1, "maximum": 100}),
            Self::OneOf(choices) => json!({"enum": choices}),
            Self::Domain => json!({
                "type": "string", "pattern": "^[a-z0-9._-]+$", "minLength": 1, "maxLength": 255,
            }),
            Self::Lifetime => json!({
                "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(h|m|s|ms))+$",
            }),
            Self::Resources => json!({
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "requests": {"type": "object"},
                    "limits": {"type": "object"},
                    "claims": {"type": "array"},
                },
            }),
            Self::Switch(_) => json!({"type": "boolean"}),
        }
    }
}

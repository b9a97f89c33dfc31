//! The structural part of a CRD's schema: types, limits, patterns, unknown fields.
//!
//! Only the keywords that a structural schema may hold and that ours does hold; a keyword that
//! is not looked at here would let through what the API server refuses, so a test compares.

use std::{collections::HashMap, sync::LazyLock, sync::Mutex};

use regex::Regex;
use serde_json::{Map, Value};

use crate::translate::Findings;

/// The keywords that [`check`] looks at, and those that constrain nothing.
#[cfg(test)]
pub(super) const KEYWORDS: [&str; 20] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];

/// Checks `value` at `path`.
pub(super) fn check(schema: &Value, value: &Value, path: &str, findings: &mut Findings<'_>) {
    let wanted = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("object");
    let fits = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !fits {
        let fix = match (wanted, value) {
            ("string", Value::Number(_) | Value::Bool(_)) => "put it in quotes".to_owned(),
            _ => format!("write a value of type {wanted}"),
        };
        findings.invalid(path, format!("{} is no {wanted}", shown(value)), fix);
        return;
    }
    one_of(schema, value, path, findings);
    match value {
        Value::Object(fields) => object(schema, fields, path, findings),
        Value::Array(items) => {
            bounds(schema, "Items", items.len(), "entries", path, findings);
            if let Some(schema) = schema.get("items") {
                for (at, item) in items.iter().enumerate() {
                    check(schema, item, &format!("{path}[{at}]"), findings);
                }
            }
        }
        Value::String(text) => string(schema, text, path, findings),
        Value::Number(_) => number(schema, value, path, findings),
        _ => {}
    }
}

fn one_of(schema: &Value, value: &Value, path: &str, findings: &mut Findings<'_>) {
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let allowed: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        findings.invalid(
            path,
            format!("{} is none of its values", shown(value)),
            format!("use one of {}", allowed.join(", ")),
        );
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, findings: &mut Findings<'_>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    bounds(
        schema,
        "Properties",
        fields.len(),
        "entries",
        path,
        findings,
    );
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if fields.get(name).is_none_or(Value::is_null) {
            findings.invalid(
                below(name),
                "is missing",
                "every object of this kind needs it",
            );
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let values = schema
        .get("additionalProperties")
        .filter(|any| any.is_object());
    for (name, value) in fields {
        // An explicit null stands for an absent field.
        if value.is_null() {
            continue;
        }
        match (properties.and_then(|known| known.get(name)), values) {
            (Some(schema), _) | (None, Some(schema)) => {
                check(schema, value, &below(name), findings);
            }
            // What has neither is not described: metadata.
            (None, None) => {
                if let Some(known) = properties
                    // The root's own fields are not all in its schema.
                    && !(path.is_empty() && matches!(&**name, "apiVersion" | "kind" | "metadata"))
                {
                    let known: Vec<_> = known.keys().map(String::as_str).collect();
                    findings.invalid(
                        below(name),
                        "is no field of this object",
                        format!("correct its name; the fields here are {}", known.join(", ")),
                    );
                }
            }
        }
    }
}

fn bounds(
    schema: &Value,
    of: &str,
    length: usize,
    unit: &str,
    path: &str,
    findings: &mut Findings<'_>,
) {
    let bound = |side: &str| {
        schema
            .get(format!("{side}{of}"))
            .and_then(Value::as_u64)
            .and_then(|bound| usize::try_from(bound).ok())
    };
    if let Some(min) = bound("min").filter(|min| length < *min) {
        findings.invalid(
            path,
            format!("has {length} {unit}"),
            format!("give at least {min}, or leave it out where it is optional"),
        );
    }
    if let Some(max) = bound("max").filter(|max| length > *max) {
        findings.invalid(
            path,
            format!("has {length} {unit}"),
            format!("give at most {max}"),
        );
    }
}

fn string(schema: &Value, text: &str, path: &str, findings: &mut Findings<'_>) {
    bounds(
        schema,
        "Length",
        text.chars().count(),
        "characters",
        path,
        findings,
    );
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !matches(pattern, text)
    {
        let fix = if pattern == crate::duration::PATTERN {
            "write a Gateway API duration such as 250ms, 10s or 1h30m".to_owned()
        } else {
            format!("it has the form {pattern}")
        };
        findings.invalid(path, format!("`{text}` does not have its form"), fix);
    }
}

/// The patterns are those of our own schema: few, and known to compile.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<String, Option<Regex>>>> =
        LazyLock::new(Mutex::default);
    let mut compiled = COMPILED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    compiled
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).ok())
        .as_ref()
        .is_none_or(|regex| regex.is_match(text))
}

fn number(schema: &Value, value: &Value, path: &str, findings: &mut Findings<'_>) {
    let number = value.as_f64().unwrap_or_default();
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let width = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        _ => (f64::MIN, f64::MAX),
    };
    let (min, max) = (
        bound("minimum").unwrap_or(width.0),
        bound("maximum").unwrap_or(width.1),
    );
    if number < min || number > max {
        findings.invalid(
            path,
            format!("{value} is out of range"),
            format!("use {min} to {max}"),
        );
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("`{}`", text.chars().take(64).collect::<String>()),
        other => other.to_string(),
    }
}

//! What can still be read of a refused object.
//!
//! A refused object keeps its last good meaning. One that never had one, because it was always
//! wrong or because its reader was started again, must not be as if it were not there: traffic
//! would be let through, or go elsewhere, in silence. So its parts are read one by one, and what
//! cannot be read is replaced by what fails closed.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    object::{Kind, Object, ObjectRef},
    reference::{MeshTarget, ParentRef, PodSelector},
    virtual_route::{HttpMatch, HttpRule, TcpMatch, TcpRule},
};

/// What can be read of a manifest that is not of its kind's shape; `None` for kinds of which
/// nothing is read then.
pub(crate) fn salvage(reference: &ObjectRef, manifest: &Value) -> Option<Object> {
    let spec = manifest.get("spec").unwrap_or(&Value::Null);
    let spec = match reference.kind {
        Kind::MeshPolicy => mesh_policy(spec),
        Kind::VirtualRoute => virtual_route(spec),
        _ => return None,
    };
    let from = manifest.get("metadata").unwrap_or(&Value::Null);
    let mut metadata = json!({ "name": reference.name, "namespace": reference.namespace });
    for field in ["generation", "creationTimestamp"] {
        if let Some(value) = from.get(field) {
            metadata[field] = value.clone();
        }
    }
    let object = json!({
        "apiVersion": format!("{}/{}", crate::GROUP, crate::VERSION),
        "kind": reference.kind.to_string(),
        "metadata": metadata,
        "spec": spec,
    });
    match reference.kind {
        Kind::MeshPolicy => read(&object).map(Object::MeshPolicy),
        _ => read(&object).map(Object::VirtualRoute),
    }
}

/// Whom it speaks for and its `mtls`. Whatever else it sets is comfort, and left out.
///
/// A mode that cannot be read is Strict. Where it cannot be read whom the policy speaks for, it
/// is the namespace, and only what is Strict is kept: nothing is opened that may not have been
/// meant.
fn mesh_policy(spec: &Value) -> Value {
    let targets = field(spec, "targetRefs");
    let selector = field(spec, "selector");
    let read_targets = readable::<MeshTarget>(targets);
    let read_selector = selector.filter(|selector| is::<PodSelector>(selector));
    let known = list(targets).len() == read_targets.len()
        && targets.is_none_or(Value::is_array)
        && selector.is_some() == read_selector.is_some()
        && (targets.is_some() || selector.is_some());
    let mut read = Map::new();
    if known {
        if !read_targets.is_empty() {
            read.insert("targetRefs".to_owned(), read_targets.into());
        }
        if let Some(selector) = read_selector {
            read.insert("selector".to_owned(), selector.clone());
        }
    } else {
        read.insert("targetRefs".to_owned(), json!([{ "kind": "Namespace" }]));
    }
    if let Some(setting) = field(spec, "mtls").and_then(|setting| mtls(setting, known)) {
        read.insert("mtls".to_owned(), setting);
    }
    Value::Object(read)
}

/// `None`: it opens something, for nobody knows whom.
fn mtls(setting: &Value, known_target: bool) -> Option<Value> {
    const STRICT: &str = "Strict";
    /// A mode; what cannot be read is Strict.
    fn mode(value: &Value) -> &str {
        match value.as_str() {
            Some(mode @ ("Permissive" | "Disabled")) => mode,
            _ => STRICT,
        }
    }
    if !setting.is_object() {
        return Some(json!({ "mode": STRICT }));
    }
    let mut found = field(setting, "mode").map(mode);
    let mut ports = Map::new();
    match field(setting, "ports") {
        None => {}
        Some(Value::Object(entries)) => {
            for (port, value) in entries {
                if port.parse::<u16>().is_ok_and(|port| port > 0) {
                    ports.insert(port.clone(), mode(value).into());
                } else if mode(value) == STRICT {
                    // Of which port is not known: then of each.
                    found = Some(STRICT);
                }
            }
        }
        Some(_) => found = Some(STRICT),
    }
    // Neither of its fields is there: whatever it says in others cannot be read.
    if found.is_none() && ports.is_empty() {
        found = Some(STRICT);
    }
    if !known_target {
        found = found.filter(|mode| *mode == STRICT);
        ports.retain(|_, mode| *mode == STRICT);
        if found.is_none() && ports.is_empty() {
            return None;
        }
    }
    let mut read = Map::new();
    if let Some(mode) = found {
        read.insert("mode".to_owned(), mode.into());
    }
    if !ports.is_empty() {
        read.insert("ports".to_owned(), ports.into());
    }
    Some(Value::Object(read))
}

/// Its parents as far as they can be read, and its rules. A rule that cannot be read does
/// nothing (which answers 500) to what it matches; where that cannot be read either, to
/// everything that no other rule claims.
fn virtual_route(spec: &Value) -> Value {
    let mut read = Map::new();
    let parents = readable::<ParentRef>(field(spec, "parentRefs"));
    read.insert("parentRefs".to_owned(), parents.into());
    if let Some(hostnames) = field(spec, "hostnames").filter(|names| is::<Vec<String>>(names)) {
        read.insert("hostnames".to_owned(), hostnames.clone());
    }
    if let Some(rules) = field(spec, "tcp") {
        let rules = entries(rules);
        let rules = rules.map(|rule| rule_or_matches::<TcpRule, TcpMatch>(rule, true));
        read.insert("tcp".to_owned(), rules.collect::<Vec<_>>().into());
    }
    let http = field(spec, "http");
    if http.is_some() || !read.contains_key("tcp") {
        let rules = entries(http.unwrap_or(&Value::Null));
        let rules = rules.map(|rule| rule_or_matches::<HttpRule, HttpMatch>(rule, false));
        read.insert("http".to_owned(), rules.collect::<Vec<_>>().into());
    }
    Value::Object(read)
}

/// A rule as it is, or without what it does.
fn rule_or_matches<R: DeserializeOwned, M: DeserializeOwned>(
    rule: &Value,
    needs_backends: bool,
) -> Value {
    if is::<R>(rule) {
        return rule.clone();
    }
    let mut read = Map::new();
    if let Some(name) = field(rule, "name").filter(|name| name.is_string()) {
        read.insert("name".to_owned(), name.clone());
    }
    let matches = field(rule, "matches");
    let readable = readable::<M>(matches);
    // One that cannot be read may mean anything: then so does the rule.
    if readable.len() == list(matches).len() && matches.is_none_or(Value::is_array) {
        read.insert("matches".to_owned(), readable.into());
    }
    if needs_backends {
        read.insert("backendRefs".to_owned(), Value::Array(Vec::new()));
    }
    Value::Object(read)
}

/// The rules of a list; of what is no list, or an empty one, one that cannot be read.
fn entries(rules: &Value) -> impl Iterator<Item = &Value> {
    let list = list(Some(rules));
    let one = list.is_empty().then_some(&Value::Null);
    list.iter().chain(one)
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.get(name).filter(|value| !value.is_null())
}

fn list(value: Option<&Value>) -> &[Value] {
    value
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The entries of a list that can be read.
fn readable<T: DeserializeOwned>(value: Option<&Value>) -> Vec<Value> {
    let entries = list(value).iter();
    entries.filter(|entry| is::<T>(entry)).cloned().collect()
}

fn is<T: DeserializeOwned>(value: &Value) -> bool {
    T::deserialize(value).is_ok()
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<Box<T>> {
    T::deserialize(value).ok().map(Box::new)
}

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{cel, manifest, object, schema};
use crate::object::{Kind, Object, ObjectRef};

#[derive(Deserialize)]
struct Refusal {
    expect: String,
    kind: String,
    spec: Value,
}

const KINDS: [Kind; 3] = [Kind::VirtualRoute, Kind::MeshPolicy, Kind::AuthPolicy];

fn refusals() -> Vec<Refusal> {
    serde_saphyr::from_str(include_str!("../../testdata/refusals.yaml")).unwrap()
}

fn of_kind(kind: &str, spec: Value) -> (ObjectRef, Value) {
    let known = Kind::of("weft.dev/v1alpha1", kind).unwrap();
    (
        ObjectRef::new(known, "shop", "test"),
        json!({
            "apiVersion": "weft.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": "test", "namespace": "shop"},
            "spec": spec,
        }),
    )
}

fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.insert(rule["message"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|value| messages(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
        _ => {}
    }
}

fn all_messages() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for kind in KINDS {
        messages(&cel::schema(kind).unwrap(), &mut found);
    }
    found
}

#[test]
fn every_bad_spec_is_refused_with_the_message_that_names_field_and_fix() {
    let mut wrong = Vec::new();
    for case in refusals() {
        let (reference, value) = of_kind(&case.kind, case.spec);
        let problems = manifest(&reference, &value);
        let said = |problem: &weft_engine::problem::Problem| {
            format!("{}; {}", problem.message, problem.fix)
        };
        if !problems
            .iter()
            .any(|problem| said(problem).starts_with(&case.expect))
        {
            wrong.push(format!("{}: {problems:#?}", case.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_of_the_schema_has_a_spec_that_it_refuses() {
    let cases: Vec<_> = refusals().into_iter().map(|case| case.expect).collect();
    let untested: Vec<_> = all_messages()
        .into_iter()
        .filter(|message| !cases.iter().any(|case| message.starts_with(case)))
        .collect();
    assert!(untested.is_empty(), "{untested:#?}");
    assert!(all_messages().len() >= 35);
}

#[test]
fn every_message_names_a_field_and_a_fix() {
    for message in all_messages() {
        assert!(
            message.contains(": ") && message.contains("; "),
            "{message}"
        );
    }
}

#[test]
fn no_keyword_of_the_schema_is_overlooked_outside_a_cluster() {
    fn walk(schema: &Value, names_are_fields: bool) {
        let Some(fields) = schema.as_object() else {
            return;
        };
        for (name, value) in fields {
            if names_are_fields {
                walk(value, false);
                continue;
            }
            assert!(
                schema::KEYWORDS.contains(&&**name),
                "{name} is not looked at"
            );
            match &**name {
                "properties" => walk(value, true),
                "items" | "additionalProperties" => walk(value, false),
                _ => {}
            }
        }
    }
    for kind in KINDS {
        walk(&cel::schema(kind).unwrap(), false);
    }
}

#[test]
fn a_misspelt_field_is_refused_by_name_with_the_fields_that_exist() {
    let (reference, value) = of_kind(
        "MeshPolicy",
        json!({"targetRefs": [{"kind": "Namespace"}], "mtls": {"mod": "Strict"}}),
    );
    let problems = manifest(&reference, &value);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].field, "spec.mtls.mod");
    assert!(problems[0].fix.contains("mode"), "{}", problems[0].fix);
}

#[test]
fn wrong_types_limits_and_durations_are_refused_where_they_stand() {
    let cases = [
        (json!({"request": 5}), "put it in quotes"),
        (json!({"request": "5 seconds"}), "Gateway API duration"),
        (json!({"request": "1s1s1s1s1s"}), "Gateway API duration"),
    ];
    for (timeouts, fix) in cases {
        let (reference, value) = of_kind(
            "MeshPolicy",
            json!({"targetRefs": [{"kind": "Namespace"}], "timeouts": timeouts}),
        );
        let problems = manifest(&reference, &value);
        assert_eq!(problems[0].field, "spec.timeouts.request");
        assert!(problems[0].fix.contains(fix), "{problems:#?}");
    }
}

#[test]
fn a_pattern_that_does_not_compile_is_an_error_of_the_route() {
    let (_, value) = of_kind(
        "VirtualRoute",
        json!({
            "parentRefs": [{"kind": "Service", "name": "reviews"}],
            "http": [{
                "matches": [{"path": {"type": "Regex", "value": "/(unclosed"}}],
                "backendRefs": [{"name": "reviews", "port": 80}],
            }],
        }),
    );
    let read = Object::from_manifest(&value).unwrap().unwrap();
    assert!(
        matches!(read, Object::VirtualRoute(_)),
        "the schema cannot see it"
    );
    let problems = object(&read);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].object, "VirtualRoute shop/test");
}

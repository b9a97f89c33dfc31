use super::{Parsed, parse};
use crate::object::{Kind, Object};

fn kinds(parsed: &Parsed) -> Vec<Kind> {
    parsed
        .objects
        .iter()
        .map(|(object, _)| object.reference().kind)
        .collect()
}

#[test]
fn each_document_stands_on_its_own_and_says_where_it_begins() {
    let text = "\
# the shop
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ignored}
---
apiVersion: v1
kind: [
---
# nothing here
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  ports: [{port: 80}]
";
    let parsed = parse(text, "shop.yaml");
    assert_eq!(kinds(&parsed), [Kind::Namespace, Kind::Service]);
    assert_eq!(parsed.objects[1].1.to_string(), "shop.yaml:14");
    assert!(parsed.incomplete);
    assert_eq!(parsed.problems.len(), 1, "{:#?}", parsed.problems);
    let line: usize = parsed.problems[0]
        .object
        .strip_prefix("shop.yaml:")
        .and_then(|line| line.parse().ok())
        .unwrap();
    assert!((9..=13).contains(&line), "{line}");
}

#[test]
fn a_refused_policy_is_still_known_by_name() {
    let text = "\
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: broken, namespace: shop}
spec: {targetRefs: [{kind: Namespace}], action: Deni}
";
    let parsed = parse(text, "broken.yaml");
    assert!(!parsed.incomplete);
    let [(Object::Invalid(invalid), _)] = parsed.objects.as_slice() else {
        panic!("{:#?}", parsed.objects);
    };
    assert_eq!(invalid.reference.to_string(), "AuthPolicy shop/broken");
    assert_eq!(invalid.problems[0].field, "spec.action");
    assert_eq!(parsed.problems, invalid.problems);
}

#[test]
fn a_list_stands_for_its_items_and_json_is_yaml() {
    let text = r#"{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a","namespace":"shop"}},
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a-1","namespace":"shop"}}]}"#;
    let parsed = parse(text, "list.json");
    assert_eq!(kinds(&parsed), [Kind::ServiceAccount, Kind::Pod]);
    assert!(parsed.problems.is_empty());
}

#[test]
fn an_object_without_a_name_is_a_problem_naming_file_and_line() {
    let parsed = parse("apiVersion: v1\nkind: Service\n", "x.yaml");
    assert!(parsed.objects.is_empty());
    assert!(parsed.problems[0].message.contains("metadata.name"));
    assert_eq!(parsed.problems[0].object, "x.yaml:1");
}

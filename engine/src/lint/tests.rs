use serde_json::{Value, json};

use super::lint;
use crate::{documents::Document, problem::Code};

fn document(kind: &str, spec: Value) -> Document {
    serde_json::from_value(json!({"kind": kind, "spec": spec})).expect("a document")
}

fn findings(documents: &[Document]) -> Vec<(Code, String, String)> {
    lint(documents)
        .into_iter()
        .map(|problem| (problem.code, problem.object, problem.field))
        .collect()
}

fn route(rules: Value) -> Vec<(Code, String, String)> {
    let spec =
        json!({"namespace": "a", "name": "b", "ports": [{"port": 80, "http": [{"rules": rules}]}]});
    findings(&[document("Service", spec)])
}

fn policies(strict: bool, policies: Value) -> Vec<(Code, String, String)> {
    let mode = if strict { "Strict" } else { "Permissive" };
    findings(&[
        document("Mesh", json!({"mtls": mode})),
        document(
            "Inbound",
            json!({"namespace": "a", "authorization": policies,
            "ports": [{"service": "db", "selector": {"labels": {"app": "db"}}, "port": 5432, "protocol": "Tcp"},
                      {"service": "web", "selector": {"labels": {"app": "web"}}, "port": 80, "protocol": "Http"}]}),
        ),
    ])
}

fn codes(findings: &[(Code, String, String)]) -> Vec<(Code, &str)> {
    findings
        .iter()
        .map(|(code, _, field)| (*code, &**field))
        .collect()
}

#[test]
fn a_rule_that_another_takes_all_of_is_found() {
    let prefix = |value: &str| json!([{"path": {"type": "Prefix", "value": value}}]);
    let forward = json!({"forward": []});
    let found = route(json!([
        {"id": "a/r/first", "matches": prefix("/a"), "action": forward},
        {"id": "a/r/again", "matches": prefix("/a/"), "action": forward},
        {"id": "a/other/again", "matches": prefix("/a"), "action": forward},
        {"id": "a/r/below", "matches": prefix("/a/b"), "action": forward},
        {"id": "a/r/half", "matches": [
            {"path": {"type": "Prefix", "value": "/a"}}, {"path": {"type": "Prefix", "value": "/c"}}],
         "action": forward},
        {"id": "a/r/narrower", "matches": [{"path": {"type": "Prefix", "value": "/a"}, "method": "GET"}],
         "action": forward},
    ]));
    assert_eq!(
        codes(&found),
        [
            (Code::Conflicted, "spec.http[again]"),
            (Code::Unreachable, "spec.http[again]"),
            (Code::Shadowed, "spec.http[half].matches[0]"),
        ]
    );
}

#[test]
fn a_rule_behind_an_expression_for_everything_is_found() {
    let found = route(json!([
        {"id": "a/r/low", "matches": [{"path": {"type": "Prefix", "value": "/a"}}], "action": {"forward": []}},
        {"id": "a/r/regex", "matches": [{"path": {"type": "Regex", "value": ".*"}}], "action": {"forward": []}},
    ]));
    assert_eq!(codes(&found), [(Code::Unreachable, "spec.http[low]")]);
}

#[test]
fn rules_that_differ_in_a_condition_are_left_alone() {
    let found = route(json!([
        {"id": "a/r/v1", "matches": [{"headers": [{"name": "x", "type": "Exact", "value": "1"}]}], "action": {"forward": []}},
        {"id": "a/r/v2", "matches": [{"headers": [{"name": "x", "type": "Exact", "value": "2"}]}], "action": {"forward": []}},
        {"id": "a/r/twice", "matches": [{"path": {"type": "Exact", "value": "/z"}}, {"path": {"type": "Exact", "value": "/z"}}],
         "action": {"forward": []}},
        {"id": "a/r/rest", "action": {"forward": []}},
    ]));
    assert_eq!(found, []);
}

#[test]
fn hostnames_that_the_listener_does_not_serve_are_found() {
    let found = findings(&[document(
        "Gateway",
        json!({"namespace": "a", "name": "g", "listeners": [
            {"name": "l", "port": 80, "hostname": "*.example.com", "http": [
                {"id": "a/in/0", "hostnames": ["www.example.com"], "action": {"forward": []}},
                {"id": "a/wide/0", "hostnames": ["*.com"], "action": {"forward": []}},
                {"id": "a/out/0", "hostnames": ["www.example.org"], "action": {"forward": []}},
            ]},
        ]}),
    )]);
    assert_eq!(
        found,
        [(
            Code::Unreachable,
            "VirtualRoute a/out".to_owned(),
            "spec.hostnames".to_owned()
        )]
    );
}

#[test]
fn an_allow_for_everyone_is_found_and_what_it_makes_pointless() {
    let found = policies(
        true,
        json!([
            {"id": "a/narrow", "action": "Allow", "rules": [
                {"name": "get", "from": [{"serviceAccounts": ["a/b"]}], "to": [{"methods": ["GET"], "paths": ["/x"]}]}]},
            {"id": "a/wide", "action": "Allow", "rules": [{"name": "all"}]},
        ]),
    );
    assert_eq!(
        found,
        [
            (
                Code::Shadowed,
                "AuthPolicy a/narrow".to_owned(),
                "spec.rules[get]".to_owned()
            ),
            (
                Code::TooWide,
                "AuthPolicy a/wide".to_owned(),
                "spec.rules[all]".to_owned()
            ),
        ]
    );
}

#[test]
fn a_narrower_allow_under_a_wider_one_is_found() {
    let found = policies(
        true,
        json!([
            {"id": "a/p", "action": "Allow", "rules": [
                {"name": "wide", "from": [{"namespaces": ["shop"]}], "to": [{"paths": ["/items/*"]}]},
                {"name": "account", "from": [{"namespaces": ["shop"], "serviceAccounts": ["shop/x"]}], "to": [{"paths": ["/items/{id}"]}]},
                {"name": "beside", "from": [{"namespaces": ["shop"]}], "to": [{"paths": ["/itemsets"]}]},
                {"name": "elsewhere", "from": [{"namespaces": ["ops"]}], "to": [{"paths": ["/items/1"]}]}]},
        ]),
    );
    assert_eq!(codes(&found), [(Code::Shadowed, "spec.rules[account]")]);
}

#[test]
fn an_allow_that_a_deny_takes_all_of_is_found() {
    let found = policies(
        true,
        json!([
            {"id": "a/allow", "action": "Allow", "rules": [{"name": "x", "from": [{"namespaces": ["s"]}], "to": [{"paths": ["/admin/x"]}]}]},
            {"id": "a/deny", "action": "Deny", "rules": [{"name": "y", "to": [{"paths": ["/admin/*"]}]}]},
        ]),
    );
    assert_eq!(codes(&found), [(Code::Unreachable, "spec.rules[x]")]);
}

#[test]
fn policies_for_different_pods_do_not_hide_each_other() {
    let found = policies(
        true,
        json!([
            {"id": "a/one", "selector": {"labels": {"app": "one"}}, "action": "Allow", "rules": [{"name": "0", "from": [{"namespaces": ["s"]}]}]},
            {"id": "a/two", "selector": {"labels": {"app": "two"}}, "action": "Allow", "rules": [{"name": "0", "from": [{"namespaces": ["s"]}]}]},
        ]),
    );
    assert_eq!(found, []);
}

#[test]
fn a_deny_by_name_without_strict_mtls_is_found() {
    let deny = json!([{"id": "a/deny", "action": "Deny", "rules": [{"name": "0", "from": [{"namespaces": ["other"]}]}]}]);
    assert_eq!(
        codes(&policies(false, deny.clone())),
        [(Code::TooWide, "spec.rules[0]")]
    );
    assert_eq!(policies(true, deny), []);
    let all_but = json!([{"id": "a/deny", "action": "Deny", "rules": [{"name": "0", "from": [{"notNamespaces": ["a"]}]}]}]);
    assert_eq!(policies(false, all_but), []);
}

#[test]
fn an_operation_that_takes_itself_away_is_found() {
    let found = policies(
        true,
        json!([
            {"id": "a/deny", "action": "Deny", "rules": [
                {"name": "empty", "to": [{"paths": ["/a/b"], "notPaths": ["/a/*"]}]},
                {"name": "fine", "to": [{"paths": ["/a/*"], "notPaths": ["/a/b"]}]}]},
        ]),
    );
    assert_eq!(codes(&found), [(Code::Unreachable, "spec.rules[empty]")]);
}

#[test]
fn http_conditions_where_no_http_is_spoken_are_found() {
    let found = policies(
        true,
        json!([
            {"id": "a/db", "selector": {"labels": {"app": "db"}}, "action": "Deny", "rules": [{"name": "0", "to": [{"paths": ["/x"]}]}]},
            {"id": "a/web", "selector": {"labels": {"app": "web"}}, "action": "Deny", "rules": [{"name": "0", "to": [{"paths": ["/x"]}]}]},
            {"id": "a/ports", "action": "Deny", "rules": [{"name": "0", "to": [{"ports": [5432], "methods": ["GET"]}]}]},
        ]),
    );
    let named: Vec<_> = found
        .iter()
        .map(|(code, object, _)| (*code, &**object))
        .collect();
    assert_eq!(
        named,
        [
            (Code::UnenforceableOnProtocol, "AuthPolicy a/db"),
            (Code::UnenforceableOnProtocol, "AuthPolicy a/ports"),
        ]
    );
}

#[test]
fn a_rule_that_many_documents_carry_is_told_once() {
    let deny = json!([{"id": "mesh/deny", "action": "Deny", "rules": [{"name": "0", "from": [{"namespaces": ["other"]}]}]}]);
    let found = findings(&[
        document("Mesh", json!({"authorization": deny})),
        document("Inbound", json!({"namespace": "a"})),
        document("Inbound", json!({"namespace": "b"})),
    ]);
    assert_eq!(found.len(), 1);
}

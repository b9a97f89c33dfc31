use proptest::prelude::*;
use serde_json::json;

use super::RouteTable;
use crate::{
    documents::{HttpAction, HttpMatch, HttpRule, PathMatch},
    facts::{NormalHttp, Peer},
    problem::Problem,
};

fn rule(id: &str, hostnames: &[&str], matches: serde_json::Value) -> HttpRule {
    serde_json::from_value(json!({
        "id": format!("shop/r/{id}"),
        "hostnames": hostnames,
        "matches": matches,
        "action": {"forward": []},
    }))
    .expect("a rule")
}

fn compile(rules: &[HttpRule]) -> (RouteTable, Vec<Problem>) {
    let mut problems = Vec::new();
    let table = RouteTable::compile(rules, &mut problems);
    (table, problems)
}

fn peer() -> Peer<'static> {
    Peer {
        address: [10, 0, 0, 1].into(),
        identity: None,
        workload: None,
    }
}

/// `METHOD host/path?query`, with one header where given.
fn winner(table: &RouteTable, method: &str, host: &str, target: &str) -> Option<String> {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-a", "1".parse().expect("a value"));
    headers.insert("cookie", "b=2; a=1".parse().expect("a value"));
    let (path, query) = crate::compile::split_query(target);
    let request = NormalHttp {
        method,
        host,
        path,
        query,
        headers: &headers,
    };
    let found = table.find(&request, &peer())?;
    Some(found.rule.id.rsplit('/').next()?.to_owned())
}

fn get(table: &RouteTable, target: &str) -> Option<String> {
    winner(table, "GET", "any", target)
}

#[test]
fn each_step_of_the_precedence_beats_all_that_follow() {
    // Written in ascending precedence: each rule matches the request and beats those before it.
    let everything = json!({"value": "/p", "type": "Prefix"});
    let mut rules = vec![
        rule("everything", &[], json!([])),
        rule("prefix", &[], json!([{"path": everything}])),
        rule(
            "cookie",
            &[],
            json!([{"path": everything,
            "cookies": [{"name": "a", "type": "Exact", "value": "1"}]}]),
        ),
        rule(
            "query",
            &[],
            json!([{"path": everything,
            "queryParams": [{"name": "q", "type": "Present"}]}]),
        ),
        rule(
            "header",
            &[],
            json!([{"path": everything,
            "headers": [{"name": "x-a", "type": "Present"}]}]),
        ),
        rule(
            "headers",
            &[],
            json!([{"path": everything,
            "headers": [{"name": "x-a", "type": "Present"}, {"name": "x-b", "type": "Absent"}]}]),
        ),
        rule(
            "method",
            &[],
            json!([{"path": everything, "method": "GET"}]),
        ),
        rule(
            "longer-prefix",
            &[],
            json!([{"path": {"type": "Prefix", "value": "/p/q"}}]),
        ),
        rule(
            "regex",
            &[],
            json!([{"path": {"type": "Regex", "value": "/p.*"}}]),
        ),
        rule(
            "longer-regex",
            &[],
            json!([{"path": {"type": "Regex", "value": "/p/q.*"}}]),
        ),
        rule(
            "exact",
            &[],
            json!([{"path": {"type": "Exact", "value": "/p/q"}}]),
        ),
        rule("wildcard", &["*.com"], json!([])),
        rule("longer-wildcard", &["*.example.com"], json!([])),
        rule("host", &["a.example.com"], json!([])),
    ];
    while let Some(last) = rules.last() {
        let expected = last.id.rsplit('/').next().map(str::to_owned);
        let (table, problems) = compile(&rules);
        assert_eq!(problems, []);
        assert_eq!(winner(&table, "GET", "a.example.com", "/p/q?q=1"), expected);
        // The order in the document plays no part.
        let mut reversed = rules.clone();
        reversed.reverse();
        let (table, _) = compile(&reversed);
        assert_eq!(winner(&table, "GET", "a.example.com", "/p/q?q=1"), expected);
        rules.pop();
    }
}

#[test]
fn of_equal_rules_the_first_in_the_document_wins() {
    let matches = json!([{"path": {"type": "Prefix", "value": "/a"}, "method": "GET"}]);
    let rules = [
        rule("older", &[], matches.clone()),
        rule("younger", &[], matches),
    ];
    assert_eq!(get(&compile(&rules).0, "/a").as_deref(), Some("older"));
}

#[test]
fn a_prefix_is_of_whole_segments() {
    let rules = [rule(
        "a",
        &[],
        json!([{"path": {"type": "Prefix", "value": "/a"}}]),
    )];
    let (table, _) = compile(&rules);
    for path in ["/a", "/a/", "/a/b"] {
        assert!(get(&table, path).is_some(), "{path}");
    }
    for path in ["/ab", "/", "/b/a", "/A"] {
        assert!(get(&table, path).is_none(), "{path}");
    }
    let slashed = [rule(
        "a",
        &[],
        json!([{"path": {"type": "Prefix", "value": "/a/"}}]),
    )];
    assert!(get(&compile(&slashed).0, "/a").is_some());
}

#[test]
fn an_expression_matches_the_whole_path() {
    let rules = [rule(
        "r",
        &[],
        json!([{"path": {"type": "Regex", "value": "/a|/b"}}]),
    )];
    let (table, _) = compile(&rules);
    assert!(get(&table, "/a").is_some());
    assert!(get(&table, "/b").is_some());
    assert!(get(&table, "/a/b").is_none());
    assert!(get(&table, "/xa").is_none());
}

#[test]
fn many_expressions_keep_their_order() {
    // More than one by one is worth: the set answers.
    let mut rules: Vec<_> = (0..20)
        .map(|n| {
            let pattern = format!("/v{n}/.*");
            rule(
                &format!("n{n}"),
                &[],
                json!([{"path": {"type": "Regex", "value": pattern}}]),
            )
        })
        .collect();
    rules.push(rule(
        "wide",
        &[],
        json!([{"path": {"type": "Regex", "value": "/.*"}}]),
    ));
    let (table, _) = compile(&rules);
    assert_eq!(get(&table, "/v7/x").as_deref(), Some("n7"));
    assert_eq!(get(&table, "/v17/x").as_deref(), Some("n17"));
    assert_eq!(get(&table, "/other").as_deref(), Some("wide"));
}

#[test]
fn a_match_that_does_not_compile_matches_nothing_and_is_told() {
    for (bad, field) in [
        (
            json!({"path": {"type": "Regex", "value": "("}}),
            "path.value",
        ),
        (
            json!({"path": {"type": "Regex", "value": "a)|(b"}}),
            "path.value",
        ),
        (
            json!({"path": {"type": "Regex", "value": "(a{1000}){1000}"}}),
            "path.value",
        ),
        (
            json!({"path": {"type": "Exact", "value": "/a%2fb"}}),
            "path.value",
        ),
        (
            json!({"path": {"type": "Prefix", "value": "a"}}),
            "path.value",
        ),
        (
            json!({"headers": [{"name": "a b", "type": "Present"}]}),
            "headers[0].name",
        ),
        (
            json!({"headers": [{"name": "a", "type": "Regex", "value": "["}]}),
            "headers[0].value",
        ),
        (
            json!({"queryParams": [{"name": "", "type": "Present"}]}),
            "queryParams[0].name",
        ),
        (
            json!({"cookies": [{"name": "a", "type": "Regex", "value": "*"}]}),
            "cookies[0].value",
        ),
    ] {
        let rules = [rule("bad", &[], json!([bad])), rule("rest", &[], json!([]))];
        let (table, problems) = compile(&rules);
        assert_eq!(get(&table, "/a").as_deref(), Some("rest"), "{bad}");
        let [problem] = &problems[..] else {
            panic!("{bad}: {problems:?}")
        };
        assert_eq!(problem.object, "VirtualRoute shop/r");
        assert_eq!(problem.field, format!("spec.http[bad].matches[0].{field}"));
    }
}

#[test]
fn a_rule_whose_hostnames_are_all_invalid_matches_no_host() {
    let rules = [rule("bad", &["a b"], json!([]))];
    let (table, problems) = compile(&rules);
    assert!(get(&table, "/").is_none());
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_deep_path_is_looked_at_only_as_deep_as_the_rules_go() {
    let rules = [rule(
        "a",
        &[],
        json!([{"path": {"type": "Prefix", "value": "/a"}}]),
    )];
    let (table, _) = compile(&rules);
    let deep = format!("/a{}", "/x".repeat(200_000));
    let started = std::time::Instant::now();
    for _ in 0..1000 {
        assert!(get(&table, &deep).is_some());
    }
    // A walk over all 200,000 parents, a thousand times, would take minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn query_parameters_and_cookies_are_compared_decoded_and_first() {
    let rules = [
        rule(
            "q",
            &[],
            json!([{"queryParams": [{"name": "a b", "type": "Exact", "value": "1&2"}]}]),
        ),
        rule(
            "c",
            &[],
            json!([{"cookies": [{"name": "a", "type": "Exact", "value": "1"}],
            "path": {"type": "Exact", "value": "/cookie"}}]),
        ),
    ];
    let (table, _) = compile(&rules);
    assert!(get(&table, "/?a%20b=1%262").is_some());
    assert!(get(&table, "/?a%20b=0&a%20b=1%262").is_none());
    assert!(get(&table, "/?x&a%20b=1%262").is_some());
    assert_eq!(get(&table, "/cookie").as_deref(), Some("c"));
}

fn any_match() -> impl Strategy<Value = HttpMatch> {
    let path = prop_oneof![
        Just(None),
        "(/[ab]){1,3}/?".prop_map(|path| Some(PathMatch::Exact(path))),
        "(/[ab]){0,3}/?".prop_filter_map("absolute", |path| {
            path.starts_with('/')
                .then_some(Some(PathMatch::Prefix(path)))
        }),
        prop_oneof![Just("/a.*"), Just("/.*"), Just("/a/[ab]"), Just("(/a)+")]
            .prop_map(|pattern| Some(PathMatch::Regex(pattern.to_owned()))),
    ];
    let method = prop_oneof![
        Just(None),
        Just(Some("GET".to_owned())),
        Just(Some("PUT".to_owned()))
    ];
    let header = prop_oneof![
        Just(json!([])),
        Just(json!([{"name": "x-a", "type": "Present"}])),
        Just(json!([{"name": "x-a", "type": "Exact", "value": "2"}])),
        Just(json!([{"name": "x-a", "type": "Present"}, {"name": "x-z", "type": "Absent"}])),
    ];
    (path, method, header).prop_map(|(path, method, headers)| HttpMatch {
        path,
        method,
        headers: serde_json::from_value(headers).expect("headers"),
        ..HttpMatch::default()
    })
}

fn any_rules() -> impl Strategy<Value = Vec<HttpRule>> {
    let host = prop_oneof![Just("a.b.c"), Just("*.b.c"), Just("*.c"), Just("b.c")];
    let one = (
        proptest::collection::vec(host, 0..3),
        proptest::collection::vec(any_match(), 0..4),
    );
    proptest::collection::vec(one, 0..16).prop_map(|rules| {
        rules
            .into_iter()
            .enumerate()
            .map(|(at, (hostnames, matches))| HttpRule {
                id: format!("ns/r/{at}"),
                hostnames: hostnames.into_iter().map(str::to_owned).collect(),
                matches,
                request_headers: Default::default(),
                response_headers: Default::default(),
                rewrite: None,
                action: HttpAction::Forward(Vec::new()),
                timeouts: Default::default(),
                retry: None,
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_index_finds_what_a_scan_in_order_of_precedence_finds(
        rules in any_rules(),
        path in "(/[ab]{0,2}){1,4}/?",
        host in prop_oneof![Just("a.b.c"), Just("x.b.c"), Just("b.c"), Just("x.y.c"), Just("")],
        method in prop_oneof![Just("GET"), Just("POST")],
    ) {
        let (table, problems) = compile(&rules);
        prop_assert_eq!(problems, []);
        let mut headers = http::HeaderMap::new();
        headers.insert("x-a", "1".parse().expect("a value"));
        let path = crate::path::normalise(&path).expect("a path");
        let request = NormalHttp { method, host, path: &path, query: None, headers: &headers };
        let scan = table
            .considered(None, &request, &peer())
            .find(|entry| entry.unmet.is_ok())
            .map(|entry| entry.rule.id.to_string());
        let found = table.find(&request, &peer()).map(|found| found.rule.id.to_string());
        prop_assert_eq!(found, scan);
    }

    #[test]
    fn precedence_is_a_total_order_without_ties(rules in any_rules()) {
        let (table, _) = compile(&rules);
        for pair in table.alternatives().windows(2) {
            prop_assert!(pair[0].precedence < pair[1].precedence);
        }
    }
}

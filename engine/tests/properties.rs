//! Whatever the documents and requests: no panic, and one answer.

use std::{collections::BTreeMap, net::IpAddr};

use http::HeaderMap;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use weft_engine::{
    compile::{CompiledGateway, CompiledInbound, CompiledService},
    decide::{HttpFacts, Peer, Scope, decide_http, decide_tcp},
    documents::{Document, GatewayDocument, InboundDocument, MeshDocument, ServiceDocument},
    identity::{SpiffeId, Workload},
    lint::lint,
    trace::Recorder,
};

/// Strings that look like what belongs there, and strings that do not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "",
            "/",
            "/a",
            "/a/*",
            "/{id}",
            "*",
            "a",
            "A",
            "shop/frontend",
            "*/x",
            "shop",
            "GET",
            "a.b",
            "*.b",
            "spiffe://cluster.local/ns/shop/*",
            "x-a",
            "(",
            "/a.*",
            "[a-z]+",
            "$1",
            "/%2e",
            "/a%2fb",
            "é",
            "\u{0}",
            "\r\n",
            "{",
            "..",
            "a b",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
        any::<String>().prop_map(|text| text.chars().take(16).collect()),
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(text(), 0..3)
}

fn value_match() -> impl Strategy<Value = Value> {
    (
        select(vec!["Exact", "Prefix", "Regex", "Present", "Absent"]),
        text(),
    )
        .prop_map(|(kind, value)| match kind {
            "Present" | "Absent" => json!({"type": kind}),
            _ => json!({"type": kind, "value": value}),
        })
}

fn named_match() -> impl Strategy<Value = Value> {
    (text(), value_match()).prop_map(|(name, mut condition)| {
        condition["name"] = json!(name);
        condition
    })
}

fn http_match() -> impl Strategy<Value = Value> {
    let path = proptest::option::of(
        (select(vec!["Exact", "Prefix", "Regex"]), text())
            .prop_map(|(kind, value)| json!({"type": kind, "value": value})),
    );
    let named = || proptest::collection::vec(named_match(), 0..2);
    let source = proptest::option::of((texts(), texts()));
    (
        path,
        proptest::option::of(text()),
        named(),
        named(),
        named(),
        source,
    )
        .prop_map(|(path, method, headers, query, cookies, source)| {
            json!({
                "path": path, "method": method, "headers": headers, "queryParams": query,
                "cookies": cookies,
                "source": source.map(|(namespaces, accounts)| json!({
                    "namespaces": namespaces, "serviceAccounts": accounts})),
            })
        })
}

fn path_rewrite() -> impl Strategy<Value = Value> {
    (
        select(vec!["ReplaceFull", "ReplacePrefix", "Regex"]),
        text(),
        text(),
    )
        .prop_map(|(kind, a, b)| json!({"type": kind, "value": a, "pattern": a, "substitution": b}))
}

fn http_rule() -> impl Strategy<Value = Value> {
    let action = prop_oneof![
        (0..3_u32).prop_map(|weight| json!({"forward": [
            {"service": {"namespace": "a", "name": "b", "port": 1}, "weight": weight}]})),
        (
            proptest::option::of(text()),
            proptest::option::of(path_rewrite()),
            select(vec![0, 200, 301, 308])
        )
            .prop_map(|(hostname, path, status)| json!({"redirect": {
                "hostname": hostname, "path": path, "statusCode": status}})),
        (0..700_u16, text()).prop_map(|(status, body)| json!({"directResponse": {
            "statusCode": status, "body": body}})),
    ];
    let headers = || (text(), text()).prop_map(|(name, value)| json!({"set": {name: value}}));
    (
        text(),
        texts(),
        proptest::collection::vec(http_match(), 0..3),
        headers(),
        proptest::option::of((proptest::option::of(text()), proptest::option::of(path_rewrite()))),
        action,
    )
        .prop_map(|(id, hostnames, matches, headers, rewrite, action)| {
            json!({
                "id": id, "hostnames": hostnames, "matches": matches, "requestHeaders": headers,
                "rewrite": rewrite.map(|(hostname, path)| json!({"hostname": hostname, "path": path})),
                "action": action,
            })
        })
}

fn policy() -> impl Strategy<Value = Value> {
    let from = (texts(), texts(), texts(), texts()).prop_map(|(a, b, c, d)| {
        json!({"serviceAccounts": a, "notNamespaces": b, "principals": c, "notPrincipals": d})
    });
    let to = (texts(), texts(), texts(), texts())
        .prop_map(|(a, b, c, d)| json!({"methods": a, "paths": b, "notPaths": c, "hosts": d}));
    let header = (text(), proptest::collection::vec(value_match(), 0..2))
        .prop_map(|(name, values)| json!({"name": name, "values": values}));
    let rule = (
        text(),
        proptest::collection::vec(from, 0..2),
        proptest::collection::vec(to, 0..2),
        proptest::collection::vec(header, 0..2),
    )
        .prop_map(|(name, from, to, headers)| {
            json!({"name": name, "from": from, "to": to, "headers": headers})
        });
    (
        text(),
        select(vec!["Allow", "Deny", "Audit"]),
        select(vec!["Enforce", "Shadow"]),
        proptest::collection::vec(rule, 0..3),
    )
        .prop_map(|(id, action, mode, rules)| {
            json!({"id": id, "action": action, "mode": mode, "rules": rules})
        })
}

/// Method, authority, target, headers.
fn request() -> impl Strategy<Value = (String, String, String, HeaderMap)> {
    let header = (select(vec!["x-a", "a", "cookie"]), text());
    (
        text(),
        text(),
        prop_oneof![text(), "/[a-z/.%0-9?&=;]{0,20}"],
        proptest::collection::vec(header, 0..3),
    )
        .prop_map(|(method, authority, target, headers)| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                    map.append(name, value);
                }
            }
            (method, authority, target, map)
        })
}

fn spec<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a document")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_documents_and_any_request_have_one_answer(
        rules in proptest::collection::vec(http_rule(), 0..5),
        policies in proptest::collection::vec(policy(), 0..4),
        hostname in proptest::option::of(text()),
        (method, authority, target, headers) in request(),
        proven in any::<bool>(),
    ) {
        let service: ServiceDocument = spec(json!({"namespace": "shop", "name": "web",
            "ports": [{"port": 80, "http": [{"rules": rules}]}]}));
        let inbound: InboundDocument = spec(json!({"namespace": "shop", "authorization": policies}));
        let gateway: GatewayDocument = spec(json!({"namespace": "edge", "name": "public",
            "listeners": [{"name": "l", "port": 80, "hostname": hostname, "http": rules}],
            "authorization": policies}));
        let mesh = MeshDocument::default();
        let workload = Workload { namespace: "shop".to_owned(), ..Workload::default() };
        let identity = SpiffeId::new("cluster.local", "shop", "frontend").expect("an identity");
        let peer = Peer {
            address: [10, 0, 0, 1].into(),
            identity: proven.then_some(&identity),
            workload: Some(&workload),
        };
        let facts = HttpFacts {
            method: &method,
            authority: &authority,
            path_and_query: &target,
            headers: &headers,
        };

        let decide = |told: bool| {
            let (service, service_problems) = CompiledService::compile(&service, "shop");
            let (inbound, inbound_problems) = CompiledInbound::compile(&inbound, &mesh, &workload);
            let (gateway, gateway_problems) = CompiledGateway::compile(&gateway);
            let mut said = format!("{service_problems:?}{inbound_problems:?}{gateway_problems:?}");
            for scope in [
                Scope::Outbound(service.port(80).expect("the port")),
                Scope::Inbound(&inbound, 8080),
                Scope::Gateway(&gateway.listeners[0]),
            ] {
                let decision = if told {
                    decide_http(scope, &facts, &peer, &mut Recorder::default())
                } else {
                    decide_http(scope, &facts, &peer, &mut ())
                };
                said += &format!("{:?} {:?} {:?} {}", decision.verdict, decision.reasons,
                    decision.location("http", &authority, 80), decision.forwarded_path());
                if !decision.path_and_query.is_empty() && !decision.path_and_query.starts_with('*') {
                    prop_assert!(decision.path_and_query.starts_with('/'));
                    prop_assert!(decision.forwarded_path().starts_with('/'));
                }
                let destination: (IpAddr, u16) = ([10, 0, 0, 9].into(), 80);
                let tcp = decide_tcp(scope, destination, &peer, &mut ());
                said += &format!("{:?} {:?}", tcp.verdict, tcp.reasons);
            }
            Ok(said)
        };
        // Compiling again, and watching, change nothing.
        prop_assert_eq!(decide(false)?, decide(true)?);
    }

    #[test]
    fn any_documents_can_be_linted_and_the_findings_are_the_same_in_any_order(
        rules in proptest::collection::vec(http_rule(), 0..5),
        policies in proptest::collection::vec(policy(), 0..4),
    ) {
        let mut documents = vec![
            Document::Service(spec(json!({"namespace": "shop", "name": "web",
                "ports": [{"port": 80, "http": [{"rules": rules}]}]}))),
            Document::Inbound(spec(json!({"namespace": "shop", "authorization": policies}))),
            Document::Gateway(spec(json!({"namespace": "edge", "name": "g",
                "listeners": [{"name": "l", "port": 80, "http": rules}]}))),
        ];
        let found = lint(&documents);
        documents.reverse();
        prop_assert_eq!(found, lint(&documents));
    }

    #[test]
    fn a_workload_identity_reads_back_as_it_was_written(
        domain in "[a-z0-9._-]{1,20}", namespace in "[a-z0-9-]{1,20}", account in "[a-z0-9.-]{1,20}",
    ) {
        let id = SpiffeId::new(&domain, &namespace, &account).expect("an identity");
        prop_assert_eq!(id.trust_domain(), &domain);
        prop_assert_eq!(id.namespace(), &namespace);
        prop_assert_eq!(id.service_account(), &account);
        let again: SpiffeId = id.as_str().parse().expect("an identity");
        prop_assert_eq!(again, id);
    }

    #[test]
    fn no_text_makes_reading_an_identity_or_a_name_panic(text in any::<String>()) {
        let _ = text.parse::<SpiffeId>();
        if let Ok(name) = text.parse::<weft_engine::documents::DocumentName>() {
            prop_assert_eq!(name.to_string(), text.clone());
        }
        let _ = weft_engine::documents::Envelope::from_json(&text);
    }
}

#[test]
fn every_address_has_a_shard_and_the_shards_share_evenly() {
    use weft_engine::documents::{INDEX_SHARDS, IndexDocument};
    let mut counts = BTreeMap::<u8, u32>::new();
    for n in 0..16_000_u32 {
        let address = IpAddr::from((0x0a60_0000_u32 + n).to_be_bytes());
        *counts.entry(IndexDocument::shard_of(address)).or_default() += 1;
    }
    assert_eq!(counts.len(), usize::from(INDEX_SHARDS));
    assert!(counts.values().all(|count| (800..1200).contains(count)));
}

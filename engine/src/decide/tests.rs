use std::collections::BTreeMap;

use ::http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::{
    compile::{CompiledAction, CompiledGateway, CompiledInbound, CompiledService},
    documents::{AuthAction, Backend, MeshDocument, ServiceDocument},
    identity::{SpiffeId, Workload},
    path::PathRejection,
    trace::Recorder,
};

fn service(rules: Value) -> CompiledService {
    let document: ServiceDocument = serde_json::from_value(json!({
        "namespace": "shop", "name": "web",
        "ports": [{"port": 80, "protocol": "Http", "http": [{"rules": rules}]}],
    }))
    .expect("a service");
    CompiledService::compile(&document, "shop").0
}

fn inbound(policies: Value) -> CompiledInbound {
    let document = serde_json::from_value(json!({"namespace": "shop", "authorization": policies}))
        .expect("an inbound document");
    CompiledInbound::compile(&document, &MeshDocument::default(), &Workload::default()).0
}

fn facts<'r>(method: &'r str, target: &'r str, headers: &'r HeaderMap) -> HttpFacts<'r> {
    HttpFacts {
        method,
        authority: "web.shop",
        path_and_query: target,
        headers,
    }
}

fn frontend() -> SpiffeId {
    SpiffeId::new("cluster.local", "shop", "frontend").expect("an identity")
}

fn peer(identity: Option<&SpiffeId>) -> Peer<'_> {
    Peer {
        address: [10, 0, 0, 1].into(),
        identity,
        workload: None,
    }
}

/// The refusal of a request by the frontend, as `x-weft-denied-by` tells it.
fn denied_by(policies: &CompiledInbound, method: &str, target: &str) -> Option<String> {
    let headers = HeaderMap::new();
    let id = frontend();
    let decision = decide_http(
        Scope::Inbound(policies, 8080),
        &facts(method, target, &headers),
        &peer(Some(&id)),
        &mut (),
    );
    match decision.verdict {
        Verdict::Denied(denial) => Some(denial.to_string()),
        Verdict::Proceed(_) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_form_that_is_matched_is_the_form_that_is_forwarded() {
    let service = service(json!([
        {"id": "shop/r/admin", "matches": [{"path": {"type": "Prefix", "value": "/admin"}}],
         "action": {"forward": []}},
        {"id": "shop/r/rest", "action": {"forward": []}},
    ]));
    let port = service.port(80).expect("the port");
    let headers = HeaderMap::new();
    for (target, rule, forwarded) in [
        ("/x/..//%61dmin/./a?q=%2f", "shop/r/admin", "/admin/a?q=%2f"),
        ("/administrator", "shop/r/rest", "/administrator"),
        ("/?a//../b", "shop/r/rest", "/?a//../b"),
    ] {
        let request = facts("GET", target, &headers);
        let decision = decide_http(Scope::Outbound(port), &request, &peer(None), &mut ());
        assert_eq!(decision.rule().map(|rule| &*rule.id), Some(rule));
        assert_eq!(decision.path_and_query, forwarded);
        assert_eq!(decision.forwarded_path(), forwarded);
    }
}

#[test]
fn a_target_without_a_safe_reading_is_malformed_in_every_scope() {
    let service = service(json!([{"id": "a/b/c", "action": {"forward": []}}]));
    let port = service.port(80).expect("the port");
    let open = inbound(json!([]));
    let headers = HeaderMap::new();
    for scope in [Scope::Outbound(port), Scope::Inbound(&open, 80)] {
        for (target, why) in [
            ("/a%2fb", PathRejection::EncodedSlash),
            ("/../a", PathRejection::AboveRoot),
            ("", PathRejection::NotAbsolute),
            ("?a", PathRejection::NotAbsolute),
            ("*", PathRejection::NotAbsolute),
            ("/a?b\r\nc", PathRejection::ControlCharacter),
            ("/a?b#c", PathRejection::Delimiter),
        ] {
            let request = facts("GET", target, &headers);
            let decision = decide_http(scope, &request, &peer(None), &mut ());
            assert!(
                matches!(decision.verdict, Verdict::Malformed(RequestRejection::Path(got)) if got == why),
                "{target}"
            );
        }
        let bad_host = HttpFacts {
            authority: "user@web",
            ..facts("GET", "/", &headers)
        };
        let decision = decide_http(scope, &bad_host, &peer(None), &mut ());
        assert!(matches!(
            decision.verdict,
            Verdict::Malformed(RequestRejection::Authority(_))
        ));
        let asterisk = facts("OPTIONS", "*", &headers);
        let decision = decide_http(scope, &asterisk, &peer(None), &mut ());
        assert!(matches!(decision.verdict, Verdict::Proceed(_)));
    }
}

#[test]
fn a_service_without_routes_proceeds_and_one_whose_routes_do_not_match_does_not() {
    let headers = HeaderMap::new();
    let request = facts("GET", "/", &headers);
    let without = service(json!([]));
    let decision = decide_http(
        Scope::Outbound(without.port(80).expect("the port")),
        &request,
        &peer(None),
        &mut (),
    );
    assert!(matches!(decision.verdict, Verdict::Proceed(None)));
    // Not one of its matches compiles: it still has routes, and fails closed.
    let broken = service(json!([{"id": "a/b/c", "action": {"forward": []},
        "matches": [{"path": {"type": "Regex", "value": "("}}]}]));
    let decision = decide_http(
        Scope::Outbound(broken.port(80).expect("the port")),
        &request,
        &peer(None),
        &mut (),
    );
    assert!(matches!(decision.verdict, Verdict::NoRoute));
}

#[test]
fn consumer_routes_replace_the_producers_for_their_namespace_only() {
    let document: ServiceDocument = serde_json::from_value(json!({
        "namespace": "shop", "name": "web",
        "ports": [{"port": 80, "http": [
            {"rules": [{"id": "shop/producer/0", "action": {"forward": []}}]},
            {"clientNamespace": "ops", "rules": [{"id": "ops/consumer/0", "action": {"forward": []}}]},
        ]}],
    }))
    .expect("a service");
    let headers = HeaderMap::new();
    for (namespace, expected) in [("ops", "ops/consumer/0"), ("shop", "shop/producer/0")] {
        let (service, _) = CompiledService::compile(&document, namespace);
        let scope = Scope::Outbound(service.port(80).expect("the port"));
        let decision = decide_http(scope, &facts("GET", "/", &headers), &peer(None), &mut ());
        assert_eq!(decision.rule().map(|rule| &*rule.id), Some(expected));
    }
}

#[test]
fn deny_comes_before_allow_and_the_first_in_order_is_named() {
    let policies = inbound(json!([
        {"id": "shop/allow", "action": "Allow", "rules": [{"name": "all"}]},
        {"id": "shop/deny-a", "action": "Deny",
         "rules": [{"name": "posts", "to": [{"methods": ["POST"]}]}]},
        {"id": "shop/deny-b", "action": "Deny", "rules": [
            {"name": "admin", "to": [{"paths": ["/admin/*"]}]},
            {"name": "also-admin", "to": [{"paths": ["/admin/*"]}]}]},
    ]));
    let by = |method, target| denied_by(&policies, method, target);
    assert_eq!(by("GET", "/"), None);
    assert_eq!(by("POST", "/").as_deref(), Some("shop/deny-a/posts"));
    assert_eq!(by("POST", "/admin").as_deref(), Some("shop/deny-a/posts"));
    assert_eq!(by("GET", "/admin").as_deref(), Some("shop/deny-b/admin"));
}

#[test]
fn what_no_allow_policy_allows_is_denied_by_the_first() {
    let policies = inbound(json!([
        {"id": "shop/readers", "action": "Allow",
         "rules": [{"name": "get", "to": [{"methods": ["GET"]}]}]},
        {"id": "shop/nobody", "action": "Allow"},
    ]));
    assert_eq!(denied_by(&policies, "GET", "/"), None);
    let denied = denied_by(&policies, "PUT", "/");
    assert_eq!(denied.as_deref(), Some("shop/readers/-"));
    assert_eq!(denied_by(&inbound(json!([])), "PUT", "/"), None);
    let only_nobody = inbound(json!([{"id": "shop/nobody", "action": "Allow"}]));
    let denied = denied_by(&only_nobody, "GET", "/");
    assert_eq!(denied.as_deref(), Some("shop/nobody/-"));
}

#[test]
fn reasons_stand_in_the_order_of_evaluation() {
    let policies = inbound(json!([
        {"id": "a/audit", "action": "Audit", "rules": [{"name": "0"}]},
        {"id": "a/shadow-allow", "action": "Allow", "mode": "Shadow", "rules": [{"name": "0"}]},
        {"id": "a/shadow-deny", "action": "Deny", "mode": "Shadow", "rules": [{"name": "0"}]},
        {"id": "a/allow", "action": "Allow", "rules": [{"name": "no", "to": [{"ports": [1]}]}, {"name": "yes"}]},
        {"id": "a/never-asked", "action": "Allow", "rules": [{"name": "0"}]},
    ]));
    let headers = HeaderMap::new();
    let request = facts("GET", "/", &headers);
    let scope = Scope::Inbound(&policies, 80);
    let decision = decide_http(scope, &request, &peer(None), &mut ());
    assert!(matches!(decision.verdict, Verdict::Proceed(None)));
    let reason = |policy, rule, action, shadow| Reason {
        policy,
        rule,
        action,
        shadow,
    };
    assert_eq!(
        decision.reasons,
        [
            reason("a/shadow-deny", "0", AuthAction::Deny, true),
            reason("a/shadow-allow", "0", AuthAction::Allow, true),
            reason("a/allow", "yes", AuthAction::Allow, false),
            reason("a/audit", "0", AuthAction::Audit, false),
        ]
    );
}

#[test]
fn a_shadow_policy_says_what_it_would_do_and_does_nothing() {
    let shadow = inbound(json!([
        {"id": "a/allow", "action": "Allow", "mode": "Shadow",
         "rules": [{"name": "get", "to": [{"methods": ["GET"]}]}]},
    ]));
    let headers = HeaderMap::new();
    for (method, would_deny) in [("GET", false), ("PUT", true)] {
        let request = facts(method, "/", &headers);
        let decision = decide_http(Scope::Inbound(&shadow, 80), &request, &peer(None), &mut ());
        assert!(matches!(decision.verdict, Verdict::Proceed(None)));
        assert_eq!(decision.reasons.iter().any(Reason::would_deny), would_deny);
    }
}

#[test]
fn a_policy_that_does_not_compile_in_part_refuses_as_a_whole() {
    for action in ["Allow", "Deny"] {
        let broken = json!([
            {"id": "a/broken", "action": action, "rules": [
                {"name": "good", "to": [{"methods": ["GET"]}]},
                {"name": "bad", "to": [{"paths": ["no-slash"]}]}]},
            {"id": "a/open", "action": "Allow", "rules": [{"name": "all"}]},
        ]);
        let denied = denied_by(&inbound(broken), "GET", "/");
        assert_eq!(denied.as_deref(), Some("a/broken/-"), "{action}");
    }
    let shadow = inbound(json!([
        {"id": "a/broken", "action": "Deny", "mode": "Shadow",
         "rules": [{"name": "bad", "headers": [{"name": "x", "values": [{"type": "Regex", "value": "("}]}]}]},
    ]));
    let headers = HeaderMap::new();
    let request = facts("GET", "/", &headers);
    let decision = decide_http(Scope::Inbound(&shadow, 80), &request, &peer(None), &mut ());
    assert!(matches!(decision.verdict, Verdict::Proceed(None)));
    assert!(decision.reasons.iter().any(Reason::would_deny));
}

#[test]
fn on_tcp_an_http_condition_never_allows_and_always_denies() {
    let id = frontend();
    let destination = ([10, 0, 0, 9].into(), 5432);
    for condition in [
        json!({"to": [{"methods": ["GET"]}]}),
        json!({"to": [{"notMethods": ["GET"]}]}),
        json!({"to": [{"paths": ["/a"]}]}),
        json!({"to": [{"notHosts": ["a.b"], "ports": [5432]}]}),
        json!({"headers": [{"name": "x", "notValues": [{"type": "Present"}]}]}),
    ] {
        for (action, refused_by) in [("Allow", "a/p/-"), ("Deny", "a/p/r")] {
            let mut rule = condition.clone();
            rule["name"] = json!("r");
            let policies = inbound(json!([{"id": "a/p", "action": action, "rules": [rule]}]));
            let scope = Scope::Inbound(&policies, 5432);
            let decision = decide_tcp(scope, destination, &peer(Some(&id)), &mut ());
            let Verdict::Denied(denial) = decision.verdict else {
                panic!("{action} {condition}");
            };
            assert_eq!(denial.to_string(), refused_by, "{condition}");
        }
    }
    // What TCP does carry still counts.
    let policies = inbound(json!([{"id": "a/p", "action": "Allow",
        "rules": [{"name": "r", "from": [{"namespaces": ["shop"]}], "to": [{"ports": [5432]}]}]}]));
    let allowed = |port| {
        let decision = decide_tcp(
            Scope::Inbound(&policies, port),
            destination,
            &peer(Some(&id)),
            &mut (),
        );
        matches!(decision.verdict, Verdict::Proceed(None))
    };
    assert!(allowed(5432));
    assert!(!allowed(5433));
}

#[test]
fn a_repeated_header_is_no_way_around_a_policy() {
    let mut headers = HeaderMap::new();
    headers.append("x-tier", "gold".parse().expect("a value"));
    headers.append("x-tier", "tin".parse().expect("a value"));
    let request = facts("GET", "/", &headers);
    for (action, value, refused) in [
        ("Allow", "gold", true),
        ("Deny", "tin", true),
        ("Deny", "gold", true),
        ("Deny", "silver", false),
    ] {
        let policies = inbound(
            json!([{"id": "a/p", "action": action, "rules": [{"name": "r",
            "headers": [{"name": "x-tier", "values": [{"type": "Exact", "value": value}]}]}]}]),
        );
        let decision = decide_http(
            Scope::Inbound(&policies, 80),
            &request,
            &peer(None),
            &mut (),
        );
        let denied = matches!(decision.verdict, Verdict::Denied(_));
        assert_eq!(denied, refused, "{action} {value}");
    }
}

fn gateway(policies: Value) -> CompiledGateway {
    let document = serde_json::from_value(json!({
        "namespace": "edge", "name": "public",
        "listeners": [
            {"name": "http", "port": 80, "http": [
                {"id": "shop/r/www", "hostnames": ["www.example.com"], "action": {"forward": []}}]},
            {"name": "shop", "port": 81, "hostname": "*.shop.example.com", "http": [
                {"id": "shop/r/all", "action": {"forward": []}}]},
            {"name": "a", "port": 81, "hostname": "a.shop.example.com"},
            {"name": "bad", "port": 82, "hostname": "a b", "http": [
                {"id": "shop/r/bad", "action": {"forward": []}}]},
        ],
        "authorization": policies,
    }))
    .expect("a gateway");
    CompiledGateway::compile(&document).0
}

#[test]
fn a_gateway_tells_404_before_it_tells_403() {
    let gateway = gateway(json!([{"id": "edge/closed", "action": "Allow"}]));
    let listener = gateway.listener("http").expect("the listener");
    let headers = HeaderMap::new();
    for (host, denied) in [("www.example.com", true), ("other.example.com", false)] {
        let request = HttpFacts {
            authority: host,
            ..facts("GET", "/", &headers)
        };
        let decision = decide_http(Scope::Gateway(listener), &request, &peer(None), &mut ());
        assert_eq!(matches!(decision.verdict, Verdict::Denied(_)), denied);
        assert_eq!(matches!(decision.verdict, Verdict::NoRoute), !denied);
    }
}

#[test]
fn a_listener_serves_the_hosts_of_its_hostname_only() {
    let gateway = gateway(json!([]));
    let headers = HeaderMap::new();
    for (name, host, served) in [
        ("shop", "x.shop.example.com", true),
        ("shop", "shop.example.com", false),
        ("shop", "www.example.com", false),
        ("bad", "a", false),
    ] {
        let listener = gateway.listener(name).expect("the listener");
        let request = HttpFacts {
            authority: host,
            ..facts("GET", "/", &headers)
        };
        let decision = decide_http(Scope::Gateway(listener), &request, &peer(None), &mut ());
        assert_eq!(decision.rule().is_some(), served, "{host}");
    }
    let name = |port, host| gateway.listener_for(port, host).map(|found| &*found.name);
    assert_eq!(name(81, "A.shop.example.com:81"), Some("a"));
    assert_eq!(name(81, "b.shop.example.com"), Some("shop"));
    assert_eq!(name(81, "example.com"), None);
    assert_eq!(name(80, "anything"), Some("http"));
    assert_eq!(name(82, "a"), None);
}

#[test]
fn a_rule_that_cannot_be_carried_out_answers_500() {
    let backend =
        json!({"forward": [{"service": {"namespace": "a", "name": "b", "port": 1}, "weight": 1}]});
    for part in [
        json!({"requestHeaders": {"set": {"a b": "c"}}}),
        json!({"requestHeaders": {"set": {"transfer-encoding": "chunked"}}}),
        json!({"requestHeaders": {"add": {"content-length": "0"}}}),
        json!({"requestHeaders": {"set": {"host": "x"}}}),
        json!({"responseHeaders": {"set": {"a": "b\r\nc: d"}}}),
        json!({"responseHeaders": {"remove": ["connection"]}}),
        json!({"rewrite": {"hostname": "a b"}}),
        json!({"rewrite": {"hostname": "user@a"}}),
        json!({"rewrite": {"path": {"type": "ReplaceFull", "value": "x"}}}),
        json!({"rewrite": {"path": {"type": "Regex", "pattern": "(", "substitution": ""}}}),
        json!({"rewrite": {"path": {"type": "Regex", "pattern": "a", "substitution": "?"}}}),
        json!({"rewrite": {"path": {"type": "ReplacePrefix", "value": "/x"}},
               "matches": [{"path": {"type": "Regex", "value": "/.*"}}]}),
        json!({"action": {"redirect": {"statusCode": 200}}}),
        json!({"action": {"redirect": {"statusCode": 301, "scheme": "javascript"}}}),
        json!({"action": {"redirect": {"statusCode": 301, "hostname": "*.a"}}}),
        json!({"action": {"directResponse": {"statusCode": 100}}}),
        json!({"action": {"directResponse": {"statusCode": 200, "body": "x".repeat(5000)}}}),
    ] {
        let mut rule = json!({"id": "shop/r/bad", "action": backend});
        let (Some(rule_fields), Some(part_fields)) = (rule.as_object_mut(), part.as_object())
        else {
            panic!("objects");
        };
        rule_fields.extend(part_fields.clone());
        let document: ServiceDocument = serde_json::from_value(json!({
            "ports": [{"port": 80, "http": [{"rules": [rule]}]}],
        }))
        .expect("a service");
        let (service, problems) = CompiledService::compile(&document, "shop");
        assert_eq!(problems.len(), 1, "{part}: {problems:?}");
        let headers = HeaderMap::new();
        let scope = Scope::Outbound(service.port(80).expect("the port"));
        let decision = decide_http(scope, &facts("GET", "/", &headers), &peer(None), &mut ());
        let rule = decision.rule().expect("the rule still wins");
        assert!(matches!(rule.action, CompiledAction::Forward), "{part}");
        assert!(rule.backends().is_empty(), "{part}");
    }
}

#[test]
fn a_backend_is_drawn_in_exact_proportion_to_its_weight() {
    let backend = |name: &str, weight| Backend {
        service: crate::documents::ServiceRef {
            name: name.to_owned(),
            ..Default::default()
        },
        weight,
        ..Backend::default()
    };
    let backends = [
        backend("a", 0),
        backend("b", 80),
        backend("c", 0),
        backend("d", 15),
        backend("e", 5),
    ];
    // An even sweep over all draws: each backend gets its share to the draw.
    let mut drawn = BTreeMap::<_, u32>::new();
    for step in 0..10_000_u64 {
        let draw = step * (u64::MAX / 10_000);
        let picked = pick_backend(&backends, draw).expect("a backend");
        *drawn.entry(&*picked.service.name).or_default() += 1;
    }
    for (name, share) in [("b", 8000_u32), ("d", 1500), ("e", 500)] {
        let got = drawn.get(name).copied().unwrap_or_default();
        assert!(got.abs_diff(share) <= 1, "{name}: {got} of 10000");
    }
    assert_eq!(drawn.len(), 3);
    let last = pick_backend(&backends, u64::MAX).expect("a backend");
    assert_eq!(last.service.name, "e");
    assert!(pick_backend(&backends[..1], 7).is_none());
    assert!(pick_backend(&[], 7).is_none());
    let huge = [backend("a", u32::MAX), backend("b", u32::MAX)];
    assert_eq!(pick_backend(&huge, 0).expect("a").service.name, "a");
    assert_eq!(pick_backend(&huge, u64::MAX).expect("b").service.name, "b");
}

#[test]
fn the_trace_tells_what_each_rule_before_the_winner_lacked() {
    let service = service(json!([
        {"id": "shop/r/rest", "action": {"forward": []}},
        {"id": "shop/r/post", "matches": [{"method": "POST", "path": {"type": "Exact", "value": "/a"}}],
         "action": {"forward": []}},
        {"id": "shop/r/b", "matches": [{"path": {"type": "Prefix", "value": "/b"}}],
         "action": {"forward": []}},
    ]));
    let headers = HeaderMap::new();
    let mut recorder = Recorder::default();
    let scope = Scope::Outbound(service.port(80).expect("the port"));
    decide_http(
        scope,
        &facts("GET", "/a", &headers),
        &peer(None),
        &mut recorder,
    );
    let told: Vec<_> = recorder
        .0
        .iter()
        .filter(|step| step.phase == "route")
        .map(|step| (&*step.rule, step.matched, &*step.detail))
        .collect();
    assert_eq!(
        told,
        [
            ("shop/r/post", false, "Exact /a: the method is not POST"),
            ("shop/r/b", false, "the path is not Prefix /b"),
            ("shop/r/rest", true, "every path"),
        ]
    );
}

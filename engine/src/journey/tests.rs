use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, JourneyError, Outcome, Servers, follow};
use crate::documents::{Document, DocumentName};

fn documents() -> BTreeMap<DocumentName, Document> {
    let backend = |name: &str, weight: u32, labels: Value| json!({"service": {"namespace": "shop", "name": name, "port": 80}, "weight": weight, "labels": labels});
    let all = json!([
        ["mesh", "Mesh", {"trustDomain": "td", "clusterDomain": "c.l"}],
        ["service.shop.web", "Service", {"namespace": "shop", "name": "web", "clusterIps": ["10.96.0.1"], "ports": [
            {"port": 80, "protocol": "Http", "http": [{"rules": [
                {"id": "shop/r/split", "matches": [{"path": {"type": "Prefix", "value": "/split"}}],
                 "rewrite": {"hostname": "inside.example.com", "path": {"type": "ReplacePrefix", "value": "/v2"}},
                 "requestHeaders": {"set": {"x-env": "prod"}},
                 "action": {"forward": [backend("web", 80, json!({"version": "v1"})), backend("web", 20, json!({"version": "v2"}))]}},
                {"id": "shop/r/moved", "matches": [{"path": {"type": "Exact", "value": "/old"}}],
                 "action": {"redirect": {"scheme": "https", "statusCode": 301}}},
                {"id": "shop/r/closed", "matches": [{"path": {"type": "Exact", "value": "/closed"}}],
                 "action": {"directResponse": {"statusCode": 503}}},
                {"id": "shop/r/gone", "matches": [{"path": {"type": "Exact", "value": "/gone"}}],
                 "action": {"forward": [{"service": {"namespace": "shop", "name": "gone", "port": 80}, "weight": 1, "invalid": true}]}},
                {"id": "shop/r/bare", "matches": [{"path": {"type": "Exact", "value": "/bare"}}],
                 "action": {"forward": [backend("bare", 1, json!({}))]}},
                {"id": "shop/r/web", "matches": [{"path": {"type": "Prefix", "value": "/web"}}],
                 "action": {"forward": [backend("web", 1, json!({}))]}},
            ]}]},
            {"port": 5432, "protocol": "Tcp"},
        ]}],
        ["service.shop.bare", "Service", {"namespace": "shop", "name": "bare", "ports": [{"port": 80, "protocol": "Http"}]}],
        ["inbound.shop", "Inbound", {"namespace": "shop",
            "ports": [{"service": "web", "selector": {"labels": {"app": "web"}}, "port": 8080, "protocol": "Http"}],
            "mtls": [{"id": "shop/m", "selector": "all", "mode": "Strict", "ports": {"8081": "Permissive"}}],
            "authorization": [
                {"id": "shop/allow", "selector": {"labels": {"app": "web"}}, "action": "Allow", "rules": [
                    {"name": "reads", "from": [{"serviceAccounts": ["shop/frontend", "edge/public"]}], "to": [{"methods": ["GET"]}]},
                    {"name": "tcp", "from": [{"namespaces": ["shop"]}], "to": [{"ports": [5432]}]}]},
                {"id": "shop/v2", "selector": {"labels": {"version": "v2"}}, "action": "Deny", "rules": [
                    {"name": "secret", "to": [{"paths": ["/v2/secret"], "hosts": ["inside.example.com"], "ports": [8080]}],
                     "headers": [{"name": "x-env", "values": [{"type": "Exact", "value": "prod"}]}]}]},
                {"id": "shop/trial", "selector": "all", "action": "Deny", "mode": "Shadow", "rules": [{"name": "all"}]}]}],
        ["gateway.edge.public", "Gateway", {"namespace": "edge", "name": "public", "listeners": [
            {"name": "http", "port": 80, "hostname": "*.example.com", "http": [
                {"id": "shop/g/all", "action": {"forward": [backend("web", 1, json!({}))]}}]}]}],
    ]);
    let Value::Array(all) = all else {
        panic!("a list")
    };
    all.into_iter()
        .map(|entry| {
            let name = entry[0].as_str().expect("a name").parse().expect("a name");
            let document = json!({"kind": entry[1], "spec": entry[2]});
            (name, serde_json::from_value(document).expect("a document"))
        })
        .collect()
}

fn servers() -> Servers {
    serde_json::from_value(json!({"shop/web": [
        [{"namespace": "shop", "serviceAccount": "web", "pod": "a", "labels": {"app": "web", "version": "v1"}}, {"80": 8080, "5432": 5432}],
        [{"namespace": "shop", "serviceAccount": "web", "pod": "b", "labels": {"app": "web", "version": "v2"}}, {"80": 8080, "5432": 5432}],
    ]}))
    .expect("servers")
}

fn outcome(call: Value) -> Outcome {
    let mut base = json!({
        "source": {"namespace": "shop", "serviceAccount": "frontend"},
        "service": "shop/web", "port": 80, "http": {"path": "/web"},
    });
    let (Some(base_fields), Some(fields)) = (base.as_object_mut(), call.as_object()) else {
        panic!("objects")
    };
    base_fields.extend(fields.clone());
    let call: Call = serde_json::from_value(base).expect("a call");
    follow(&documents(), &servers(), &call).expect("an outcome")
}

#[test]
fn every_backend_has_its_share_and_every_server_its_say() {
    let outcome = outcome(json!({"http": {"path": "/split/x?q"}}));
    assert_eq!(outcome.status, None);
    assert_eq!(outcome.route.as_deref(), Some("shop/r/split"));
    assert_eq!(
        outcome.backends,
        BTreeMap::from([
            ("shop/web:80{version=v1}".to_owned(), 80.0),
            ("shop/web:80{version=v2}".to_owned(), 20.0),
        ])
    );
    assert_eq!(outcome.path.as_deref(), Some("/v2/x?q"));
    assert_eq!(outcome.would_deny, ["shop/trial/all"]);
    let phases: Vec<_> = outcome.steps.iter().map(|step| &*step.phase).collect();
    let asked = phases.iter().filter(|phase| **phase == "server").count();
    assert_eq!(asked, 2);
}

#[test]
fn servers_authorize_what_the_route_made_of_the_request_and_the_stricter_wins() {
    let outcome = outcome(json!({"http": {"path": "/split/secret"}}));
    assert_eq!(outcome.status, Some(403));
    assert_eq!(outcome.denied_by.as_deref(), Some("shop/v2/secret"));
    assert_eq!(outcome.path, None);
}

#[test]
fn what_the_mesh_answers_itself_reaches_no_server() {
    for (path, status) in [
        ("/closed", 503),
        ("/old", 301),
        ("/gone", 500),
        ("/nowhere", 404),
        ("/a%2fb", 400),
    ] {
        let outcome = outcome(json!({"http": {"path": path}}));
        assert_eq!(outcome.status, Some(status), "{path}");
        assert_eq!(outcome.path, None);
        assert!(outcome.steps.iter().all(|step| step.phase != "server"));
    }
    let outcome = outcome(json!({"http": {"path": "/old"}}));
    let location = outcome.location.as_deref();
    assert_eq!(location, Some("https://web.shop.svc.c.l/old"));
}

#[test]
fn an_unmeshed_client_is_not_routed_and_meets_the_mtls_mode() {
    let refused = outcome(json!({"source": null}));
    assert_eq!(refused.status, Some(403));
    assert_eq!(refused.denied_by.as_deref(), Some("shop/m/mtls"));
    assert_eq!(refused.route, None);
    let bare = outcome(json!({"source": null, "service": "shop/bare", "http": {"path": "/x"}}));
    assert_eq!((bare.status, bare.path.as_deref()), (None, Some("/x")));
}

#[test]
fn a_backend_that_is_not_meshed_is_reached_as_it_is() {
    let outcome = outcome(json!({"http": {"path": "/bare"}}));
    assert_eq!(outcome.status, None);
    assert_eq!(outcome.path.as_deref(), Some("/bare"));
}

#[test]
fn a_connection_is_authorized_without_http() {
    let allowed = outcome(json!({"port": 5432, "http": null}));
    assert_eq!(allowed.status, None);
    let elsewhere = json!({"namespace": "ops", "serviceAccount": "x"});
    let refused = outcome(json!({"port": 5432, "http": null, "source": elsewhere}));
    assert_eq!(refused.denied_by.as_deref(), Some("shop/allow/-"));
}

#[test]
fn a_gateway_calls_the_servers_by_its_own_name() {
    let gateway = |host: &str, method: &str| {
        outcome(
            json!({"source": null, "gateway": "edge/public", "service": "",
            "http": {"authority": host, "path": "/x", "method": method}}),
        )
    };
    let reached = gateway("www.example.com", "GET");
    assert_eq!(reached.status, None);
    assert_eq!(reached.route.as_deref(), Some("shop/g/all"));
    let refused = gateway("www.example.com", "PUT");
    assert_eq!(refused.denied_by.as_deref(), Some("shop/allow/-"));
    assert_eq!(gateway("www.example.org", "GET").status, Some(404));
}

#[test]
fn a_call_to_nothing_is_an_error_that_says_what_is_missing() {
    for (service, port, gateway) in [
        ("shop/nothing", 80, None),
        ("shop/web", 81, None),
        ("web", 80, None),
        ("", 80, Some("edge/none")),
        ("", 81, Some("edge/public")),
    ] {
        let call = Call {
            service: service.to_owned(),
            port,
            gateway: gateway.map(str::to_owned),
            ..Call::default()
        };
        let followed = follow(&documents(), &servers(), &call);
        assert!(matches!(followed, Err(JourneyError::NotFound(_))));
    }
    let call: Call = serde_json::from_value(json!({"service": "shop/web", "port": 80,
        "http": {"headers": [["a b", "c"]]}}))
    .expect("a call");
    let followed = follow(&documents(), &servers(), &call);
    assert!(matches!(followed, Err(JourneyError::InvalidCall { .. })));
}

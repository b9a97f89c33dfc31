use weft_engine::documents::{Document, HttpAction, RouteScope};

use super::{GATEWAY, route, service_document};
use crate::fixtures::{document, problems, service, world};

#[test]
fn routes_of_another_namespace_steer_only_its_own_clients() {
    let rule = "http: [{backendRefs: [{name: reviews, namespace: shop, port: 80}]}]";
    let text = service("shop", "reviews", "http", 1)
        + &route(
            "shop",
            "all",
            &format!("{{parentRefs: [{{kind: Service, name: reviews}}], {rule}}}"),
        )
        + &route(
            "other",
            "mine",
            &format!("{{parentRefs: [{{kind: Service, name: reviews, namespace: shop}}], {rule}}}"),
        );
    let world = world(&text);
    assert!(problems(&world).is_empty(), "{:?}", problems(&world));
    let document = service_document(&world, "service.shop.reviews");
    let mut scopes: Vec<_> = document.ports[0]
        .http
        .iter()
        .map(|scope: &RouteScope<_>| (scope.client_namespace.as_deref(), &*scope.rules[0].id))
        .collect();
    scopes.sort();
    assert_eq!(
        scopes,
        [(None, "shop/all/0"), (Some("other"), "other/mine/0")]
    );
}

#[test]
fn a_backend_that_is_not_there_is_marked_and_named() {
    let text = service("shop", "reviews", "http", 1)
        + &route(
            "shop",
            "r",
            "{parentRefs: [{kind: Service, name: reviews}], http: [{backendRefs: [{name: reviews, port: 80}, {name: gone, port: 80}, {name: reviews, port: 81}]}]}",
        );
    let mut world = world(&text);
    assert_eq!(
        problems(&world),
        [
            "BackendNotFound VirtualRoute shop/r spec.http[0].backendRefs[1].name",
            "BackendNotFound VirtualRoute shop/r spec.http[0].backendRefs[2].port",
        ]
    );
    let document = service_document(&world, "service.shop.reviews");
    let HttpAction::Forward(backends) = &document.ports[0].http[0].rules[0].action else {
        panic!("{document:#?}");
    };
    let invalid: Vec<_> = backends.iter().map(|backend| backend.invalid).collect();
    assert_eq!(invalid, [false, true, true]);

    world.take_dirty();
    for object in crate::fixtures::objects(&service("shop", "gone", "http", 9)) {
        world.apply(object);
    }
    let reviews = crate::Key::Service("shop".to_owned(), "reviews".to_owned());
    assert!(
        world.take_dirty().contains(&reviews),
        "the route's parent is lowered again"
    );
    assert_eq!(problems(&world).len(), 1);
}

#[test]
fn of_two_routes_that_match_the_same_the_older_stands_and_the_younger_says_so() {
    let spec = "{parentRefs: [{kind: Service, name: reviews}], http: [{matches: [{path: {value: /a}}], backendRefs: [{name: reviews, port: 80}]}]}";
    let aged = |name: &str, year: u16| {
        route("shop", name, spec).replace(
            "namespace: shop}",
            &format!("namespace: shop, creationTimestamp: '{year}-01-01T00:00:00Z'}}"),
        )
    };
    let text = service("shop", "reviews", "http", 1) + &aged("a", 2026) + &aged("b", 2025);
    let world = world(&text);
    let all = crate::lower::lower_all(&world).problems;
    let [problem] = all.as_slice() else {
        panic!("{all:#?}")
    };
    assert_eq!(problem.object, "VirtualRoute shop/a");
    assert!(problem.message.contains("shop/b/0"), "{}", problem.message);
    let document = service_document(&world, "service.shop.reviews");
    assert_eq!(document.ports[0].http[0].rules[0].id, "shop/b/0");
}

#[test]
fn http_rules_on_a_tcp_port_are_refused() {
    let text = service("shop", "ledger", "tcp", 1)
        + &route(
            "shop",
            "r",
            "{parentRefs: [{kind: Service, name: ledger}], http: [{backendRefs: [{name: ledger, port: 80}]}]}",
        );
    let world = world(&text);
    assert_eq!(
        problems(&world),
        ["UnenforceableOnProtocol VirtualRoute shop/r spec.http"]
    );
}

#[test]
fn a_listener_takes_routes_of_its_own_namespace_unless_it_says_otherwise() {
    let spec = |hosts: &str| {
        format!(
            "{{parentRefs: [{{kind: Gateway, name: public, namespace: edge}}], hostnames: [{hosts}], http: [{{directResponse: {{statusCode: 200}}}}]}}"
        )
    };
    let text = GATEWAY.to_owned()
        + &route("shop", "in", &spec("a.example.com"))
        + &route("shop", "out", &spec("a.example.org"));
    let world = world(&text);
    let Some(Document::Gateway(gateway)) = document(&world, "gateway.edge.public") else {
        panic!("no gateway document");
    };
    assert!(gateway.listeners[0].http.is_empty());
    let ids: Vec<_> = gateway.listeners[1]
        .http
        .iter()
        .map(|rule| &*rule.id)
        .collect();
    assert_eq!(ids, ["shop/in/0"]);
    assert_eq!(
        problems(&world),
        ["TargetNotFound VirtualRoute shop/out spec.parentRefs[0]"]
    );
}

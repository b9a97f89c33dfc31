use weft_engine::documents::{
    Document, HttpAction, MtlsMode, Protocol, RouteScope, Selector, ServiceDocument,
};

use crate::{
    World,
    fixtures::{document, problems, service, world},
};

fn service_document(world: &World, name: &str) -> ServiceDocument {
    match document(world, name) {
        Some(Document::Service(document)) => document,
        other => panic!("{other:#?}"),
    }
}

fn route(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: VirtualRoute\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

fn mesh(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

fn auth(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

#[test]
fn a_small_shop_lowers_to_these_documents() {
    let text = [
        service("shop", "reviews", "http", 1),
        service("shop", "ledger", "tcp", 2),
        route("shop", "reviews", "{parentRefs: [{kind: Service, name: reviews}], http: [{name: canary, matches: [{headers: [{name: X-Group, value: beta}]}], backendRefs: [{name: reviews, port: 80, labels: {version: v2}}], retry: {attempts: 2}}]}"),
        mesh("shop", "reviews", "{targetRefs: [{kind: Service, name: reviews}], mtls: {mode: Strict}, loadBalancing: {algorithm: Random}}"),
        auth("shop", "reviews", "{targetRefs: [{kind: Service, name: reviews}], rules: [{name: readers, from: [{serviceAccounts: [shop/frontend]}], to: [{methods: [GET]}]}]}"),
    ]
    .concat();
    let world = world(&text);
    let lowered = super::lower_all(&world);
    assert!(lowered.problems.is_empty(), "{:#?}", lowered.problems);
    let documents: std::collections::BTreeMap<_, _> = lowered
        .documents
        .into_iter()
        .filter(|(name, _)| !name.to_string().starts_with("index"))
        .map(|(name, document)| (name.to_string(), document))
        .collect();
    insta::assert_json_snapshot!(documents);
}

#[test]
fn endpoints_know_their_pods_by_name_or_address() {
    let world = world(&service("shop", "reviews", "http", 1));
    let Some(Document::Endpoints(endpoints)) = document(&world, "endpoints.shop.reviews") else {
        panic!("no endpoints");
    };
    let [group] = endpoints.groups.as_slice() else {
        panic!("{endpoints:#?}");
    };
    assert_eq!(group.ports, [(80, 8080)].into());
    let id = Some("spiffe://cluster.local/ns/shop/sa/reviews");
    let seen: Vec<_> = group
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.identity.as_deref(), endpoint.ready))
        .collect();
    assert_eq!(seen, [(id, true), (id, false)]);
    assert_eq!(group.endpoints[1].zone.as_deref(), Some("eu-1a"));
    assert!(
        group.endpoints[0].labels.is_empty(),
        "no subset names a label"
    );
}

#[test]
fn a_port_where_mtls_is_disabled_is_called_in_plaintext() {
    let text = service("shop", "reviews", "http", 1)
        + &mesh(
            "shop",
            "plain",
            "{selector: {matchLabels: {version: v1}}, mtls: {ports: {'8080': Disabled}}}",
        );
    let world = world(&text);
    let Some(Document::Endpoints(endpoints)) = document(&world, "endpoints.shop.reviews") else {
        panic!("no endpoints");
    };
    let identities: Vec<_> = endpoints.groups[0]
        .endpoints
        .iter()
        .map(|endpoint| endpoint.identity.is_some())
        .collect();
    assert_eq!(identities, [false, true]);
}

#[test]
fn a_service_of_many_endpoints_is_cut_into_shards_that_the_service_counts() {
    let mut text = service("shop", "reviews", "http", 1);
    for slice in 2..6 {
        let endpoints: String = (0..1000)
            .map(|at| format!("- {{addresses: [10.{slice}.{}.{}]}}\n", at / 250, at % 250))
            .collect();
        text += &format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: reviews-{slice}, namespace: shop, labels: {{kubernetes.io/service-name: reviews}}}}\naddressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints:\n{endpoints}---\n"
        );
    }
    let world = world(&text);
    assert_eq!(
        service_document(&world, "service.shop.reviews").endpoint_shards,
        3
    );
    let mut total = 0;
    for name in [
        "endpoints.shop.reviews",
        "endpoints.shop.reviews.1",
        "endpoints.shop.reviews.2",
    ] {
        let Some(Document::Endpoints(shard)) = document(&world, name) else {
            panic!("{name} is missing");
        };
        assert!(serde_json::to_string(&shard).unwrap().len() < 900 * 1024);
        total += shard
            .groups
            .iter()
            .map(|group| group.endpoints.len())
            .sum::<usize>();
    }
    assert_eq!(total, 4_002);
}

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
    let all = super::lower_all(&world).problems;
    let [problem] = all.as_slice() else {
        panic!("{all:#?}")
    };
    assert_eq!(problem.object, "VirtualRoute shop/a");
    assert!(problem.message.contains("shop/b/0"), "{}", problem.message);
    let document = service_document(&world, "service.shop.reviews");
    assert_eq!(document.ports[0].http[0].rules[0].id, "shop/b/0");
}

#[test]
fn the_most_specific_policy_wins_field_by_field_and_at_one_level_the_older() {
    let text = service("shop", "reviews", "http", 1)
        + &mesh(
            "weft-system",
            "mesh",
            "{targetRefs: [{kind: Mesh}], connectionPool: {maxConnections: 1, maxRequests: 2}}",
        )
        + &mesh(
            "shop",
            "ns",
            "{targetRefs: [{kind: Namespace}], connectionPool: {maxConnections: 3}, timeouts: {request: 1s}}",
        )
        + &mesh(
            "shop",
            "svc-a",
            "{targetRefs: [{kind: Service, name: reviews}], timeouts: {request: 2s}, retryBudget: {percent: 5}}",
        )
        + &mesh(
            "shop",
            "svc-b",
            "{targetRefs: [{kind: Service, name: reviews}], timeouts: {request: 4s}}",
        )
        + &mesh(
            "shop",
            "port",
            "{targetRefs: [{kind: Service, name: reviews, port: 80}], retryBudget: {percent: 7}}",
        );
    let world = world(&text);
    let policy = &service_document(&world, "service.shop.reviews").ports[0].policy;
    assert_eq!(policy.connection_pool.max_connections, 3);
    assert_eq!(policy.connection_pool.max_requests, 2);
    assert_eq!(policy.timeouts.request, 2_000);
    assert_eq!(policy.retry_budget.percent, 7);
    let all = super::lower_all(&world).problems;
    let [problem] = all.as_slice() else {
        panic!("{all:#?}")
    };
    assert_eq!(problem.object, "MeshPolicy shop/svc-b");
    assert_eq!(problem.field, "spec.timeouts.request");
    assert!(
        problem.message.contains("shop/svc-a"),
        "{}",
        problem.message
    );
}

#[test]
fn only_the_root_namespace_speaks_for_the_mesh() {
    let text = mesh(
        "shop",
        "mine",
        "{targetRefs: [{kind: Mesh}], mtls: {mode: Disabled}}",
    ) + &auth(
        "shop",
        "mine",
        "{targetRefs: [{kind: Mesh}], action: Deny, rules: [{}]}",
    );
    let world = world(&text);
    let Some(Document::Mesh(document)) = document(&world, "mesh") else {
        panic!("no mesh document");
    };
    assert_eq!(document.mtls, None);
    assert!(document.authorization.is_empty());
    assert_eq!(
        problems(&world),
        [
            "TargetNotFound AuthPolicy shop/mine spec.targetRefs[0].kind",
            "TargetNotFound MeshPolicy shop/mine spec.targetRefs[0].kind",
        ]
    );
}

#[test]
fn http_conditions_on_a_tcp_service_are_refused_and_still_fail_closed() {
    let text = service("shop", "ledger", "tcp", 1)
        + &auth(
            "shop",
            "a",
            "{targetRefs: [{kind: Service, name: ledger}], rules: [{to: [{methods: [GET]}]}]}",
        );
    let world = world(&text);
    assert_eq!(
        problems(&world),
        ["UnenforceableOnProtocol AuthPolicy shop/a spec.targetRefs[0]"]
    );
    let Some(Document::Inbound(inbound)) = document(&world, "inbound.shop") else {
        panic!("no inbound document");
    };
    assert_eq!(inbound.authorization[0].rules[0].to[0].methods, ["GET"]);
    assert_eq!(
        inbound.authorization[0].selector,
        Selector::Labels([("app".to_owned(), "ledger".to_owned())].into())
    );
    assert_eq!(inbound.ports[0].protocol, Protocol::Tcp);
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
fn a_targets_port_is_the_pods_own_port() {
    let text = service("shop", "reviews", "http", 1)
        + &mesh(
            "shop",
            "p",
            "{targetRefs: [{kind: Service, name: reviews, port: 80}], mtls: {mode: Strict}}",
        );
    let Some(Document::Inbound(inbound)) = document(&world(&text), "inbound.shop") else {
        panic!("no inbound document");
    };
    assert_eq!(inbound.mtls[0].ports, [(8080, MtlsMode::Strict)].into());
    assert_eq!(inbound.mtls[0].mode, None);
}

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  gatewayClassName: weft
  listeners:
  - {name: own, port: 80, protocol: HTTP}
  - {name: open, port: 81, protocol: HTTP, hostname: '*.example.com', allowedRoutes: {namespaces: {from: All}}}
---
";

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

#[test]
fn an_invalid_policy_keeps_its_last_good_meaning_and_says_so() {
    let good = auth(
        "shop",
        "a",
        "{targetRefs: [{kind: Namespace}], rules: [{name: ok}]}",
    );
    let mut world = world(&good);
    let before = document(&world, "inbound.shop");
    for object in crate::fixtures::objects(&good.replace("name: ok", "name: NOT OK")) {
        world.apply(object);
    }
    assert_eq!(document(&world, "inbound.shop"), before);
    let all = super::lower_all(&world).problems;
    assert!(
        all[0].message.contains("last good one stays in force"),
        "{all:#?}"
    );
}

#[test]
fn an_invalid_policy_that_never_meant_anything_fails_closed() {
    let text = auth(
        "shop",
        "unreadable",
        "{targetRefs: [{kind: Namespace}], action: Alow}",
    ) + &auth(
        "shop",
        "readable",
        "{selector: {matchLabels: {app: a}}, rules: [{name: NOT OK}]}",
    );
    let Some(Document::Inbound(inbound)) = document(&world(&text), "inbound.shop") else {
        panic!("no inbound document");
    };
    let seen: Vec<_> = inbound
        .authorization
        .iter()
        .map(|policy| {
            (
                &*policy.id,
                policy.action,
                policy.rules.len(),
                policy.selector == Selector::All,
            )
        })
        .collect();
    use weft_engine::documents::AuthAction::{Allow, Deny};
    assert_eq!(
        seen,
        [
            ("shop/readable", Allow, 0, false),
            ("shop/unreadable", Deny, 1, true)
        ]
    );
}

#[test]
fn one_invalid_object_leaves_the_others_served() {
    let good = "{parentRefs: [{kind: Service, name: reviews}], http: [{matches: [{path: {value: /a}}], backendRefs: [{name: reviews, port: 80}]}]}";
    let bad = "{parentRefs: [{kind: Service, name: reviews}], http: [{matches: [{path: {type: Regex, value: '/(a'}}], backendRefs: [{name: reviews, port: 80}]}]}";
    let text = service("shop", "reviews", "http", 1)
        + &route("shop", "bad", bad)
        + &route("shop", "good", good);
    let world = world(&text);
    let document = service_document(&world, "service.shop.reviews");
    let ids: Vec<_> = document.ports[0].http[0]
        .rules
        .iter()
        .map(|rule| &*rule.id)
        .collect();
    assert_eq!(ids, ["shop/good/0"]);
    let all = super::lower_all(&world).problems;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].object, "VirtualRoute shop/bad");
}

#[test]
fn the_bookstore_lowers_without_a_problem() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/bookstore");
    let mut files = Vec::new();
    for folder in [folder.join("standalone"), folder] {
        for entry in std::fs::read_dir(folder).unwrap() {
            files.push(entry.unwrap().path());
        }
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let mut world = World::new(crate::Settings::default());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let parsed = crate::manifests::parse(&text, &file.to_string_lossy());
        assert!(parsed.problems.is_empty(), "{:#?}", parsed.problems);
        for (object, _) in parsed.objects {
            world.apply(object);
        }
    }
    assert_eq!(problems(&world), Vec::<String>::new());
    assert!(world.objects().len() >= 5);
}

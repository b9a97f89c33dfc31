mod addresses;
mod refused;
mod routes;

use weft_engine::documents::{Document, MtlsMode, Protocol, Selector, ServiceDocument};

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
            "Invalid AuthPolicy shop/mine spec.targetRefs[0].kind",
            "Invalid MeshPolicy shop/mine spec.targetRefs[0].kind",
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

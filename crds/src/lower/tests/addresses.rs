use weft_engine::documents::{AddressesDocument, Document, DocumentName, PodAddress};

use super::{auth, mesh};
use crate::{
    World,
    fixtures::{document, service, world},
};

/// A pod of `namespace` with `app: NAME`, the service account of its name, and whatever else.
fn pod(namespace: &str, name: &str, address: &str, rest: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}, annotations: {{weft.dev/injected: \"true\"}}}}
spec: {{serviceAccountName: {name}, containers: [{{name: app}}]{rest}}}
status: {{phase: Running, podIP: {address}}}
---
"
    )
}

/// A Service and a slice that names the pod.
fn before(namespace: &str, service: &str, cluster_ip: &str, port: u16, pod: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: {service}, namespace: {namespace}}}
spec: {{clusterIP: {cluster_ip}, selector: {{app: {pod}}}, ports: [{{name: http, port: {port}, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {service}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {service}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.0.0.1], targetRef: {{kind: Pod, name: {pod}}}}}]
---
"
    )
}

/// What is said of an address.
fn at(world: &World, address: &str) -> Option<PodAddress> {
    let address = address.parse().unwrap();
    let shard = AddressesDocument::shard_of(address);
    match document(world, &DocumentName::Addresses(shard).to_string())? {
        Document::Addresses(document) => {
            assert_eq!(document.shard, shard);
            document.pods.get(&address).cloned()
        }
        other => panic!("{other:#?}"),
    }
}

#[test]
fn a_pod_of_the_mesh_is_known_by_its_address_with_the_service_that_its_callers_mean() {
    let text = pod("shop", "db", "10.0.0.1", "")
        + &before("shop", "a-db", "10.96.0.1", 80, "db")
        + &before("shop", "db-pods", "None", 8080, "db");
    let found = at(&world(&text), "10.0.0.1").expect("the pod");
    assert_eq!(found.identity, "spiffe://cluster.local/ns/shop/sa/db");
    let ports: Vec<_> = found.ports.iter().collect();
    let [(8080, service)] = ports.as_slice() else {
        panic!("{ports:?}");
    };
    assert_eq!(
        (&*service.name, service.port),
        ("db-pods", 8080),
        "the headless one first, though its name comes later"
    );
    // Only the proxy's own port is left out.
    assert_eq!(found.plaintext, [(15020, 15020)]);
}

#[test]
fn a_slice_of_another_namespace_has_no_say_in_how_a_pod_is_called() {
    let foreign =
        before("evil", "trap", "None", 80, "db").replace(", targetRef: {kind: Pod, name: db}", "");
    let found = at(
        &world(&(pod("shop", "db", "10.0.0.1", "") + &foreign)),
        "10.0.0.1",
    );
    assert!(found.expect("the pod").ports.is_empty());
    // The same in its own namespace has.
    let own = foreign.replace("evil", "shop");
    let found = at(
        &world(&(pod("shop", "db", "10.0.0.1", "") + &own)),
        "10.0.0.1",
    );
    assert_eq!(found.expect("the pod").ports.len(), 1);
}

#[test]
fn who_is_outside_the_mesh_or_shares_an_address_is_not_known_by_it() {
    let plain = pod("shop", "db", "10.0.0.1", "").replace("\"true\"", "\"false\"");
    let host = pod("shop", "db", "10.0.0.1", ", hostNetwork: true");
    let ended = pod("shop", "db", "10.0.0.1", "").replace("Running", "Succeeded");
    for text in [&plain, &host, &ended] {
        assert_eq!(at(&world(text), "10.0.0.1"), None, "{text}");
    }
    // Whoever has the address after one that ended is known by it.
    let next = pod("shop", "web", "10.0.0.1", "");
    let found = at(&world(&(ended + &next)), "10.0.0.1").expect("the next pod");
    assert!(found.identity.ends_with("/sa/web"), "{found:?}");
    // And while it passes from one to another, the younger.
    let younger = next.replace(
        "name: web,",
        "name: a-web, creationTimestamp: 2026-01-02T00:00:00Z,",
    );
    let older = pod("shop", "db", "10.0.0.1", "").replace(
        "name: db,",
        "name: db, creationTimestamp: 2026-01-01T00:00:00Z,",
    );
    let found = at(&world(&(younger + &older)), "10.0.0.1").expect("one of both");
    assert!(found.identity.ends_with("/sa/web"), "{found:?}");
}

#[test]
fn ports_that_take_only_plaintext_are_said_and_a_pod_that_has_no_other_is_as_good_as_outside() {
    let excluded = pod("shop", "db", "10.0.0.1", "").replace(
        "weft.dev/injected",
        "weft.dev/exclude-inbound-ports: '9100-9110, 9090,15019', weft.dev/injected",
    );
    let plaintext = |text: &str| at(&world(text), "10.0.0.1").map(|found| found.plaintext);
    assert_eq!(
        plaintext(&excluded).unwrap(),
        [(9090, 9090), (9100, 9110), (15019, 15020)]
    );
    let on_ports = mesh(
        "shop",
        "m",
        "{targetRefs: [{kind: Namespace}], mtls: {ports: {'8080': Disabled, '8081': Disabled, '9': Strict}}}",
    );
    assert_eq!(
        plaintext(&(excluded.clone() + &on_ports)).unwrap(),
        [(8080, 8081), (9090, 9090), (9100, 9110), (15019, 15020)]
    );
    let off = mesh(
        "shop",
        "m",
        "{targetRefs: [{kind: Namespace}], mtls: {mode: Disabled}}",
    );
    assert_eq!(plaintext(&(excluded.clone() + &off)), None);
    let but_one = mesh(
        "shop",
        "other",
        "{selector: {matchLabels: {app: db}}, mtls: {ports: {'443': Strict}}}",
    );
    assert_eq!(
        plaintext(&(excluded + &off + &but_one)).unwrap(),
        [(1, 442), (444, 65535)]
    );
}

#[test]
fn a_service_before_a_port_that_the_proxy_leaves_out_is_called_in_plaintext() {
    let text = service("shop", "reviews", "http", 1).replace(
        "weft.dev/injected",
        "weft.dev/exclude-inbound-ports: '8080', weft.dev/injected",
    );
    let Some(Document::Endpoints(endpoints)) = document(&world(&text), "endpoints.shop.reviews")
    else {
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
fn authorization_has_no_say_in_addresses() {
    let text = pod("shop", "db", "10.0.0.1", "");
    let guarded = text.clone()
        + &auth(
            "shop",
            "p",
            "{targetRefs: [{kind: Namespace}], action: Deny, rules: [{}]}",
        );
    assert_eq!(
        at(&world(&text), "10.0.0.1"),
        at(&world(&guarded), "10.0.0.1")
    );
}

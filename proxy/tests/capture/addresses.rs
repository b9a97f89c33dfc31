//! Pods that are dialled themselves: by their address, or by a name that DNS resolves to it.

use std::net::{IpAddr, SocketAddr};

use weft_engine::documents::{
    AddressesDocument, Backend, Document, HeaderChanges, HttpAction, HttpMatch, HttpRule, MtlsMode,
    PathMatch, PodAddress, Protocol, RouteScope, RouteTimeouts, ServiceDocument, ServicePort,
    ServiceRef,
};

use crate::{
    CALLED, CALLER_OUTSIDE, OUTSIDE, Scene,
    mesh::{Member, Mesh, eventually, spiffe},
    netns::may_run,
};

fn reference(name: &str, port: u16) -> ServiceRef {
    ServiceRef {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        port,
    }
}

/// Says who is at the called pod's address. Port 8080 belongs to a headless Service, whose only
/// endpoint is another pod: who dials a pod gets that pod.
fn say_who(mesh: &Mesh, account: &str) {
    let called: IpAddr = CALLED.parse().unwrap();
    let shard = AddressesDocument::shard_of(called);
    let pod = PodAddress {
        identity: spiffe("shop", account),
        ports: [
            (8080, reference("web-pods", 80)),
            (3306, reference("db", 3306)),
        ]
        .into(),
        plaintext: vec![(15020, 15020)],
    };
    mesh.publish(Document::Addresses(AddressesDocument {
        shard,
        pods: [(called, pod)].into(),
    }));
}

fn headless(mesh: &Mesh) {
    let elsewhere = SocketAddr::new("10.77.1.9".parse().unwrap(), 8080);
    mesh.endpoints(
        ("shop", "web-pods"),
        80,
        &[Member::meshed(elsewhere, "web")],
    );
    let rule = |id: &str, path: &str, backend: ServiceRef| HttpRule {
        id: format!("shop/web-pods/{id}"),
        hostnames: Vec::new(),
        matches: vec![HttpMatch {
            path: Some(PathMatch::Prefix(path.to_owned())),
            ..HttpMatch::default()
        }],
        request_headers: HeaderChanges {
            set: [("x-rule".to_owned(), id.to_owned())].into(),
            ..HeaderChanges::default()
        },
        response_headers: HeaderChanges::default(),
        rewrite: None,
        action: HttpAction::Forward(vec![Backend {
            service: backend,
            weight: 1,
            ..Backend::default()
        }]),
        timeouts: RouteTimeouts::default(),
        retry: None,
    };
    mesh.publish(Document::Service(ServiceDocument {
        namespace: "shop".to_owned(),
        name: "web-pods".to_owned(),
        ports: vec![ServicePort {
            port: 80,
            protocol: Protocol::Http,
            http: vec![RouteScope {
                client_namespace: None,
                rules: vec![
                    rule("own", "/", reference("web-pods", 80)),
                    rule("other", "/other", reference("own", 80)),
                ],
            }],
            ..ServicePort::default()
        }],
        endpoint_shards: 1,
        ..ServiceDocument::default()
    }));
}

fn scene() -> Scene {
    let scene = Scene::new(MtlsMode::Strict, &[]);
    headless(&scene.mesh);
    say_who(&scene.mesh, "web");
    scene
}

#[test]
fn a_pod_that_is_dialled_itself_is_called_by_mutual_tls_and_no_other() {
    if !may_run("a_pod_that_is_dialled_itself_is_called_by_mutual_tls_and_no_other") {
        return;
    }
    let scene = scene();
    let (status, body) = scene.caller.get(&format!("{CALLED}:8080"), "/a").unwrap();
    assert_eq!(status, 200, "{body}");
    let body = body.to_ascii_lowercase();
    assert!(
        body.contains("uri=spiffe://cluster.local/ns/shop/sa/caller"),
        "{body}"
    );
    assert!(body.contains(&format!("peer={CALLED}:")), "{body}");
    // The headless Service's routes and name hold.
    assert!(body.contains("x-rule: own"), "{body}");
    let labels = [
        r#"destination_service="web-pods""#,
        r#"route="shop/web-pods/own""#,
        r#"response_code="200""#,
    ];
    assert_eq!(scene.caller.metric("weft_requests_total", &labels), 1.0);
    // A rule that forwards to another Service is followed.
    let (status, body) = scene
        .caller
        .get(&format!("{CALLED}:8080"), "/other")
        .unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("peer=10.77.1.1:"), "{body}");
}

#[test]
fn server_first_and_undeclared_ports_of_a_dialled_pod_are_in_the_mesh_too() {
    if !may_run("server_first_and_undeclared_ports_of_a_dialled_pod_are_in_the_mesh_too") {
        return;
    }
    let scene = scene();
    scene.called.serve_greeting("0.0.0.0:3307");
    scene.called.serve_http("0.0.0.0:8081");
    for port in [3306, 3307] {
        let greeting = scene.caller.greeting(&format!("{CALLED}:{port}"));
        assert_eq!(greeting, format!("hello {CALLED}"), "{port}");
    }
    let (status, body) = scene.caller.get(&format!("{CALLED}:8081"), "/").unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.to_ascii_lowercase().contains("/sa/caller"), "{body}");
}

#[test]
fn a_port_that_takes_only_plaintext_and_a_host_outside_are_called_as_they_are() {
    if !may_run("a_port_that_takes_only_plaintext_and_a_host_outside_are_called_as_they_are") {
        return;
    }
    let scene = scene();
    let (status, body) = scene
        .caller
        .get(&format!("{CALLED}:15020"), "/ready")
        .unwrap();
    assert_eq!(status, 200, "{body}");
    let answer = scene.caller.line(&format!("{OUTSIDE}:9000"), "through");
    assert_eq!(answer, format!("{CALLER_OUTSIDE} through"));
}

#[tokio::test]
async fn an_address_that_passed_to_another_pod_is_not_taken_for_the_old_one() {
    if !may_run("an_address_that_passed_to_another_pod_is_not_taken_for_the_old_one") {
        return;
    }
    let scene = scene();
    say_who(&scene.mesh, "somebody-else");
    let ask = || {
        scene
            .caller
            .get(&format!("{CALLED}:8080"), "/")
            .map(|(status, _)| status)
    };
    eventually("the wrong identity refused", || async {
        (ask() == Some(503)).then_some(())
    })
    .await;
    // What is said of it then holds at once.
    say_who(&scene.mesh, "web");
    eventually("the right one taken", || async {
        (ask() == Some(200)).then_some(())
    })
    .await;
    // Gone: in plaintext, which a Strict pod refuses.
    let called: IpAddr = CALLED.parse().unwrap();
    let shard = AddressesDocument::shard_of(called);
    let empty = AddressesDocument {
        shard,
        ..AddressesDocument::default()
    };
    scene.mesh.publish(Document::Addresses(empty));
    eventually("plaintext refused", || async {
        (ask() == Some(403)).then_some(())
    })
    .await;
}

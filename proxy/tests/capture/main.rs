//! The capture and the proxy in network namespaces, as in pods: what the application does is
//! redirected by the kernel, and where it was going is found out again. Needs root.
// The mesh's fixtures are shared by many tests; each uses its part.
#![allow(dead_code, unused_imports)]

mod addresses;
#[path = "../mesh/mod.rs"]
mod mesh;
mod netns;
mod pod;
mod vanished;

use std::net::{IpAddr, SocketAddr};

use weft_engine::documents::{
    Document, IndexDocument, MtlsMode, MtlsPolicy, Protocol, Selector, ServiceDocument,
    ServicePort, ServiceRef,
};

use mesh::{Member, Mesh};
use netns::may_run;
use pod::{Pod, get};

const CALLER: &str = "10.77.1.1";
const CALLED: &str = "10.77.1.2";
const CALLER_OUTSIDE: &str = "10.77.2.1";
const OUTSIDE: &str = "10.77.2.2";
const WEB_IP: &str = "10.96.0.10";
const SELF_IP: &str = "10.96.0.11";
const DB_IP: &str = "10.96.0.12";

const PROBES: &str = r#"{"app/liveness": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1},
    "app/readiness": {"tcpSocket": {"port": 9}, "timeoutSeconds": 1}}"#;

/// Two pods of the mesh and a host outside, cabled: caller — called, caller — outside.
struct Scene {
    caller: Pod,
    called: Pod,
    outside: Pod,
    // Last: a pod's log is shown from it.
    mesh: Mesh,
}

impl Scene {
    fn new(mode: MtlsMode, exclude: &[&str]) -> Self {
        let mesh = Mesh::new();
        let mut caller = Pod::new("caller");
        let mut called = Pod::new("called");
        let outside = Pod::new("outside");
        caller.netns.connect(CALLER, &called.netns, CALLED);
        caller
            .netns
            .connect(CALLER_OUTSIDE, &outside.netns, OUTSIDE);
        // A ClusterIP has no owner: a route is all that it needs to be dialled.
        for (pod, gateway) in [
            (&caller, CALLED),
            (&called, CALLER),
            (&outside, CALLER_OUTSIDE),
        ] {
            pod.netns.ip(&["route", "add", "default", "via", gateway]);
        }
        documents(&mesh, mode);
        for pod in [&caller, &called] {
            pod.serve_http("0.0.0.0:8080");
            pod.serve_greeting("0.0.0.0:3306");
        }
        outside.serve_lines("0.0.0.0:9000");
        outside.serve_lines("0.0.0.0:9001");
        caller.capture(exclude);
        called.capture(&[]);
        caller.start_proxy(&mesh, "caller", CALLER, PROBES);
        called.start_proxy(&mesh, "web", CALLED, "");
        Self {
            mesh,
            caller,
            called,
            outside,
        }
    }
}

fn documents(mesh: &Mesh, mode: MtlsMode) {
    let services = [
        ("web", WEB_IP, 80, Protocol::Http, (CALLED, 8080, "web")),
        ("own", SELF_IP, 80, Protocol::Http, (CALLER, 8080, "caller")),
        ("db", DB_IP, 3306, Protocol::Tcp, (CALLED, 3306, "web")),
    ];
    let mut shards = std::collections::BTreeMap::<u8, IndexDocument>::new();
    for (name, cluster_ip, port, protocol, (address, app_port, account)) in services {
        let cluster_ip: IpAddr = cluster_ip.parse().unwrap();
        let app = SocketAddr::new(address.parse().unwrap(), app_port);
        mesh.endpoints(("shop", name), port, &[Member::meshed(app, account)]);
        mesh.publish(Document::Service(ServiceDocument {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            cluster_ips: vec![cluster_ip],
            ports: vec![ServicePort {
                port,
                protocol,
                ..ServicePort::default()
            }],
            endpoint_shards: 1,
        }));
        let shard = IndexDocument::shard_of(cluster_ip);
        let index = shards.entry(shard).or_default();
        index.shard = shard;
        index.services.insert(
            cluster_ip,
            ServiceRef {
                namespace: "shop".to_owned(),
                name: name.to_owned(),
                port: 0,
            },
        );
    }
    for shard in shards.into_values() {
        mesh.publish(Document::Index(shard));
    }
    mesh.inbound(
        "shop",
        &[(8080, Protocol::Http), (3306, Protocol::Tcp)],
        |inbound| {
            inbound.mtls.push(MtlsPolicy {
                id: "shop/mode".to_owned(),
                selector: Selector::All,
                mode: Some(mode),
                ..MtlsPolicy::default()
            });
        },
    );
}

#[test]
fn a_call_to_a_cluster_ip_is_the_services_and_mutual_tls() {
    if !may_run("a_call_to_a_cluster_ip_is_the_services_and_mutual_tls") {
        return;
    }
    let scene = Scene::new(MtlsMode::Strict, &[]);
    let (status, body) = scene
        .caller
        .get(&format!("{WEB_IP}:80"), "/reviews")
        .unwrap();
    assert_eq!(status, 200, "{body}");
    let body = body.to_ascii_lowercase();
    assert!(body.contains("get /reviews http/1.1"), "{body}");
    assert!(
        body.contains("uri=spiffe://cluster.local/ns/shop/sa/caller"),
        "the callee does not see who called: {body}"
    );
    // The application is reached from its own pod's address, not through the loopback: one that
    // listens on loopback only stays private.
    assert!(body.contains(&format!("peer={CALLED}:")), "{body}");
}

#[test]
fn a_server_that_speaks_first_is_heard_through_its_cluster_ip() {
    if !may_run("a_server_that_speaks_first_is_heard_through_its_cluster_ip") {
        return;
    }
    let scene = Scene::new(MtlsMode::Strict, &[]);
    let greeting = scene.caller.greeting(&format!("{DB_IP}:3306"));
    assert_eq!(greeting, format!("hello {CALLED}"));
}

#[test]
fn a_pod_that_calls_its_own_service_comes_in_as_anybody_does() {
    if !may_run("a_pod_that_calls_its_own_service_comes_in_as_anybody_does") {
        return;
    }
    let scene = Scene::new(MtlsMode::Strict, &[]);
    let (status, body) = scene.caller.get(&format!("{SELF_IP}:80"), "/").unwrap();
    assert_eq!(status, 200, "{body}");
    let body = body.to_ascii_lowercase();
    assert!(
        body.contains("by=spiffe://cluster.local/ns/shop/sa/caller")
            && body.contains("uri=spiffe://cluster.local/ns/shop/sa/caller"),
        "{body}"
    );
    assert!(body.contains(&format!("peer={CALLER}:")), "{body}");
}

#[test]
fn what_the_mesh_does_not_know_is_reached_as_it_is() {
    if !may_run("what_the_mesh_does_not_know_is_reached_as_it_is") {
        return;
    }
    let scene = Scene::new(MtlsMode::Strict, &["--exclude-outbound-ports=9001"]);
    let opened = || {
        let labels = [r#"direction="outbound""#];
        let caller = &scene.caller;
        caller.metric("weft_tcp_connections_opened_total", &labels)
    };
    let before = opened();
    let answer = scene.caller.line(&format!("{OUTSIDE}:9000"), "through");
    assert_eq!(answer, format!("{CALLER_OUTSIDE} through"));
    assert_eq!(opened(), before + 1.0, "it did not pass the proxy");

    // Excluded: the proxy never sees it.
    let answer = scene.caller.line(&format!("{OUTSIDE}:9001"), "around");
    assert_eq!(answer, format!("{CALLER_OUTSIDE} around"));
    assert_eq!(opened(), before + 1.0, "an excluded port passed the proxy");

    // Within the pod nothing is redirected.
    assert_eq!(scene.caller.get("127.0.0.1:8080", "/").unwrap().0, 200);
    assert_eq!(
        scene.caller.get(&format!("{CALLER}:8080"), "/").unwrap().0,
        200
    );
    assert_eq!(opened(), before + 1.0, "loopback passed the proxy");
}

#[test]
fn nobody_passes_the_inbound_proxy_under_strict_but_the_kubelet_gets_its_answer() {
    if !may_run("nobody_passes_the_inbound_proxy_under_strict_but_the_kubelet_gets_its_answer") {
        return;
    }
    let scene = Scene::new(MtlsMode::Strict, &[]);
    // By pod address, from outside the mesh.
    let (status, body) = scene
        .outside
        .get(&format!("{CALLER_OUTSIDE}:8080"), "/")
        .unwrap();
    assert_eq!(status, 403, "{body}");
    // The proxy's own ports lead nowhere.
    for port in [15000, 15001, 15006] {
        let answer = scene
            .outside
            .get(&format!("{CALLER_OUTSIDE}:{port}"), "/config");
        assert!(answer.is_none_or(|(status, _)| status == 403), "{port}");
    }
    let probe = |kind: &str| {
        let path = format!("/app-health/app/{kind}");
        scene
            .outside
            .get(&format!("{CALLER_OUTSIDE}:15020"), &path)
            .unwrap()
    };
    let (status, body) = probe("liveness");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("GET /healthz HTTP/1.1"), "{body}");
    assert_eq!(probe("readiness").0, 503);
    assert_eq!(probe("startup").0, 404);
}

#[test]
fn plaintext_from_outside_is_taken_under_permissive() {
    if !may_run("plaintext_from_outside_is_taken_under_permissive") {
        return;
    }
    let scene = Scene::new(MtlsMode::Permissive, &[]);
    let (status, body) = scene
        .outside
        .get(&format!("{CALLER_OUTSIDE}:8080"), "/")
        .unwrap();
    assert_eq!(status, 200, "{body}");
    let forwarded = body
        .to_ascii_lowercase()
        .contains("x-forwarded-client-cert");
    assert!(
        !forwarded,
        "a plaintext caller was given an identity: {body}"
    );
    let greeting = scene.outside.greeting(&format!("{CALLER_OUTSIDE}:3306"));
    assert!(greeting.starts_with("hello "), "{greeting}");
}

#[test]
fn capturing_again_replaces_the_rules_and_breaks_nothing() {
    if !may_run("capturing_again_replaces_the_rules_and_breaks_nothing") {
        return;
    }
    let scene = Scene::new(MtlsMode::Strict, &[]);
    for _ in 0..3 {
        scene.caller.capture(&[
            "--exclude-outbound-cidrs=192.0.2.0/24",
            "--exclude-uids=4711",
        ]);
        let (status, body) = scene.caller.get(&format!("{WEB_IP}:80"), "/").unwrap();
        assert_eq!(status, 200, "{body}");
    }
    // The last ones count: excluded, the call goes out in plaintext, and where its route leads it
    // is refused.
    let excluded = format!("--exclude-outbound-cidrs={WEB_IP}/32");
    scene.caller.capture(&[&excluded]);
    let (status, body) = scene.caller.get(&format!("{WEB_IP}:80"), "/").unwrap();
    assert_eq!(status, 403, "{body}");
}

#[test]
fn no_connection_is_opened_to_the_pod_over_ipv6() {
    if !may_run("no_connection_is_opened_to_the_pod_over_ipv6") {
        return;
    }
    let [pod, outside] = ["pod", "outside"].map(Pod::new);
    pod.netns.connect("10.77.3.1", &outside.netns, "10.77.3.2");
    for (here, address) in [(&pod, "fd00:77::1/64"), (&outside, "fd00:77::2/64")] {
        let devices = here
            .netns
            .within(|| std::fs::read_to_string("/proc/thread-self/net/dev"))
            .unwrap();
        let device = devices.lines().find_map(|line| {
            let name = line.split(':').next()?.trim();
            name.starts_with('v').then(|| name.to_owned())
        });
        let device = device.expect("a veth device");
        here.netns
            .ip(&["-6", "addr", "add", address, "dev", &device, "nodad"]);
    }
    pod.serve_http("[::]:8080");
    outside.serve_http("[::]:8080");
    assert_eq!(
        outside.get("[fd00:77::1]:8080", "/").unwrap().0,
        200,
        "before the capture"
    );
    pod.capture(&[]);
    assert!(outside.get("[fd00:77::1]:8080", "/").is_none());
    assert_eq!(
        pod.get("[fd00:77::2]:8080", "/").unwrap().0,
        200,
        "outbound"
    );
    assert_eq!(
        pod.netns.within(|| get("[::1]:8080", "/")).unwrap().0,
        200,
        "loopback"
    );
}

#[test]
fn without_the_capability_nothing_is_captured_and_the_reason_is_said() {
    if !may_run("without_the_capability_nothing_is_captured_and_the_reason_is_said") {
        return;
    }
    let mesh = Mesh::new();
    let pod = Pod::new("weak");
    let said = pod.refused_capture(&mesh);
    assert!(said.contains("NET_ADMIN"), "{said}");
}

//! A node that vanishes: nothing ends the connections to it, and nothing answers on them.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    sync::mpsc::Receiver,
    time::Instant,
};

use weft_engine::documents::{
    Document, IndexDocument, Keepalive, LoadBalancing, Protocol, ServiceDocument, ServicePort,
    ServiceRef,
};

use crate::{
    CALLED, CALLER, CALLER_OUTSIDE, DB_IP, OUTSIDE, WEB_IP,
    mesh::{Member, Mesh, PATIENCE},
    netns::may_run,
    pod::{Pod, ask, connect},
};

/// A second of silence, and a second for an answer to the probe.
const KEEPALIVE: Keepalive = Keepalive(1_000, 1_000, 1);

/// In milliseconds; as long as nobody waits for it.
const CONNECT_TIMEOUT: u64 = 5_000;

/// One that will vanish and one that stays, behind the same services.
struct Scene {
    caller: Pod,
    gone: Pod,
    _stays: Pod,
    _mesh: Mesh,
}

impl Scene {
    /// `web`: what is spoken between the proxies.
    fn new(web: Protocol) -> Self {
        let mesh = Mesh::new();
        let [mut caller, mut gone, mut stays] = ["caller", "gone", "stays"].map(Pod::new);
        caller.netns.connect(CALLER, &gone.netns, CALLED);
        caller.netns.connect(CALLER_OUTSIDE, &stays.netns, OUTSIDE);
        for (pod, gateway) in [(&caller, CALLED), (&gone, CALLER), (&stays, CALLER_OUTSIDE)] {
            pod.netns.ip(&["route", "add", "default", "via", gateway]);
        }
        let both = [CALLED, OUTSIDE];
        publish(&mesh, "web", WEB_IP, (80, 8080), web, &both);
        publish(&mesh, "db", DB_IP, (3306, 3306), Protocol::Tcp, &[CALLED]);
        index(&mesh, &[("web", WEB_IP), ("db", DB_IP)]);
        let ports = [(8080, Protocol::Http), (3306, Protocol::Tcp)];
        mesh.inbound("shop", &ports, |_| {});
        stays.serve_http("0.0.0.0:8080");
        for pod in [&caller, &gone, &stays] {
            pod.capture(&[]);
        }
        caller.start_proxy(&mesh, "caller", CALLER, "");
        gone.start_proxy(&mesh, "web", CALLED, "");
        stays.start_proxy(&mesh, "web", OUTSIDE, "");
        Self {
            caller,
            gone,
            _stays: stays,
            _mesh: mesh,
        }
    }

    /// The connection of a patient client.
    fn connect(&self, address: &str) -> TcpStream {
        let stream = self.caller.netns.within(|| connect(address)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> (u16, String) {
        let address = format!("{WEB_IP}:80");
        ask(self.connect(&address), request, "web.shop").expect("an answer in time")
    }

    fn vanish(&self) {
        self.caller.netns.lose(CALLED);
    }
}

fn publish(
    mesh: &Mesh,
    name: &str,
    cluster_ip: &str,
    (port, target): (u16, u16),
    protocol: Protocol,
    addresses: &[&str],
) {
    let cluster_ip: IpAddr = cluster_ip.parse().unwrap();
    let members: Vec<_> = addresses
        .iter()
        .map(|address| Member::meshed((address.parse::<IpAddr>().unwrap(), target).into(), "web"))
        .collect();
    mesh.endpoints(("shop", name), port, &members);
    let mut service = ServicePort {
        port,
        protocol,
        ..ServicePort::default()
    };
    service.policy.load_balancing = Some(LoadBalancing::RoundRobin);
    service.policy.connection_pool.tcp_keepalive = KEEPALIVE;
    service.policy.connection_pool.connect_timeout = CONNECT_TIMEOUT;
    mesh.publish(Document::Service(ServiceDocument {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        cluster_ips: vec![cluster_ip],
        ports: vec![service],
        endpoint_shards: 1,
    }));
}

fn index(mesh: &Mesh, services: &[(&str, &str)]) {
    let mut shards = BTreeMap::<u8, IndexDocument>::new();
    for (name, cluster_ip) in services {
        let cluster_ip = cluster_ip.parse().unwrap();
        let shard = IndexDocument::shard_of(cluster_ip);
        let index = shards.entry(shard).or_default();
        index.shard = shard;
        let reference = ServiceRef {
            namespace: "shop".to_owned(),
            name: (*name).to_owned(),
            port: 0,
        };
        index.services.insert(cluster_ip, reference);
    }
    for index in shards.into_values() {
        mesh.publish(Document::Index(index));
    }
}

/// Until the application that will vanish has a request.
fn until_asked(lines: &Receiver<String>) {
    let heard = lines.recv_timeout(PATIENCE);
    assert!(heard.is_ok(), "no request came there");
}

fn a_request_on_the_way_goes_elsewhere(between: Protocol) {
    let scene = Scene::new(between);
    let lines = scene.gone.serve_silence("0.0.0.0:8080");
    std::thread::scope(|scope| {
        // In turn: one of two comes to the one that does not answer.
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| scene.ask("GET /"))).collect();
        until_asked(&lines);
        scene.vanish();
        for answer in waiting {
            let (status, body) = answer.join().unwrap();
            assert_eq!(status, 200, "{body}");
        }
    });
    let retried = [r#"result="success""#];
    assert!(scene.caller.metric("weft_retries_total", &retried) >= 1.0);
}

#[test]
fn a_get_that_a_vanished_node_had_is_answered_by_another() {
    if may_run("a_get_that_a_vanished_node_had_is_answered_by_another") {
        a_request_on_the_way_goes_elsewhere(Protocol::Http);
    }
}

#[test]
fn over_http2_as_well() {
    if may_run("over_http2_as_well") {
        a_request_on_the_way_goes_elsewhere(Protocol::Http2);
    }
}

/// Nothing acknowledges the request: the kernel's keepalive keeps silent.
#[test]
fn a_connection_that_is_used_again_after_the_node_vanished_is_given_up() {
    if !may_run("a_connection_that_is_used_again_after_the_node_vanished_is_given_up") {
        return;
    }
    let scene = Scene::new(Protocol::Http);
    scene.gone.serve_http("0.0.0.0:8080");
    for _ in 0..8 {
        assert_eq!(scene.ask("GET /").0, 200);
    }
    scene.vanish();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.ask("GET /"))).collect();
        for answer in waiting {
            let (status, body) = answer.join().unwrap();
            assert_eq!(status, 200, "{body}");
        }
    });
    let took = begin.elapsed();
    assert!(took < PATIENCE / 2, "{took:?}");
}

/// As the address of a pod that is gone, before its endpoint is withdrawn.
#[test]
fn where_another_endpoint_is_there_a_silent_network_does_not_cost_the_connect_time_out() {
    if !may_run(
        "where_another_endpoint_is_there_a_silent_network_does_not_cost_the_connect_time_out",
    ) {
        return;
    }
    let scene = Scene::new(Protocol::Http);
    scene.vanish();
    for request in ["GET /", "POST /"] {
        for _ in 0..2 {
            let begin = Instant::now();
            let (status, body) = scene.ask(request);
            assert_eq!(status, 200, "{body}");
            let took = begin.elapsed().as_millis();
            assert!(took < u128::from(CONNECT_TIMEOUT), "{request}: {took} ms");
        }
    }
    let silent = [r#"result="upstream_connect_timeout""#];
    assert!(scene.caller.metric("weft_upstream_connects_total", &silent) >= 1.0);
}

#[test]
fn what_may_have_been_done_is_not_repeated_and_the_answer_says_who_vanished() {
    if !may_run("what_may_have_been_done_is_not_repeated_and_the_answer_says_who_vanished") {
        return;
    }
    let scene = Scene::new(Protocol::Http);
    let lines = scene.gone.serve_silence("0.0.0.0:8080");
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| scene.ask("POST /")))
            .collect();
        until_asked(&lines);
        scene.vanish();
        let answers = waiting.into_iter().map(|answer| answer.join().unwrap());
        let (answered, refused): (Vec<_>, Vec<_>) = answers.partition(|(status, _)| *status == 200);
        assert!(!refused.is_empty(), "{answered:?}");
        for (status, body) in refused {
            assert_eq!(status, 502, "{body}");
            assert!(body.contains("vanished"), "{body}");
        }
    });
}

#[test]
fn a_tcp_connection_to_a_vanished_node_ends() {
    if !may_run("a_tcp_connection_to_a_vanished_node_ends") {
        return;
    }
    let scene = Scene::new(Protocol::Http);
    let lines = scene.gone.serve_silence("0.0.0.0:3306");
    let [mut talks, mut waits] = [(); 2].map(|()| scene.connect(&format!("{DB_IP}:3306")));
    for stream in [&mut talks, &mut waits] {
        stream.write_all(b"hello\n").unwrap();
        until_asked(&lines);
    }
    scene.vanish();
    talks.write_all(b"are you there?\n").unwrap();
    for stream in [&mut talks, &mut waits] {
        // An abort, not an orderly end.
        let read = stream.read(&mut [0; 1]);
        let error = read.expect_err("the node is gone");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    let flag = [r#"response_flag="upstream_vanished""#];
    let closed = scene
        .caller
        .metric("weft_tcp_connections_closed_total", &flag);
    assert_eq!(closed, 2.0);
}

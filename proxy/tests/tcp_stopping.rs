//! What a client over TCP does not notice: applications that stop before their endpoints are
//! withdrawn. Their proxies outlive them and say so before the first byte.

mod mesh;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use mesh::{Member, Mesh, Proxy, applications, beside, fresh_address, peer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use weft_engine::documents::{
    AuthAction, AuthRule, AuthorizationPolicy, InboundDocument, LoadBalancing, OutlierDetection,
    PolicyMode, Protocol, Selector,
};

const BOUND: Duration = Duration::from_secs(10);

/// A client's proxy, and two pods that take turns; which of them has an application, the test says.
struct Scene {
    _mesh: Mesh,
    client: Proxy,
    pods: Vec<Pod>,
    entrance: SocketAddr,
}

struct Pod {
    proxy: Proxy,
    app: SocketAddr,
}

async fn scene(change: impl FnOnce(&mut InboundDocument)) -> Scene {
    let mesh = Mesh::new();
    let addresses = [fresh_address(), fresh_address()];
    let members = addresses.map(|address| Member::meshed(address, "echo"));
    let (name, tcp) = (("shop", "echo"), Protocol::Tcp);
    mesh.service(name, 9000, tcp, &members, |port| {
        port.policy.load_balancing = Some(LoadBalancing::RoundRobin);
        port.policy.outlier_detection = Some(OutlierDetection {
            consecutive_gateway_errors: 1,
            ..OutlierDetection::default()
        });
    });
    let ports = addresses.map(|address| (address.port(), tcp));
    mesh.inbound("shop", &ports, change);
    let mut pods = Vec::new();
    for address in addresses {
        let app = beside(address);
        let proxy = mesh.proxy("shop", "echo").inbound_bind(address, app);
        pods.push(Pod {
            proxy: proxy.start().await,
            app,
        });
    }
    let entrance = fresh_address();
    let client = mesh.proxy("shop", "frontend");
    let client = client.outbound_bind(entrance, "shop/echo:9000").start();
    Scene {
        client: client.await,
        _mesh: mesh,
        pods,
        entrance,
    }
}

impl Scene {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.entrance).await.unwrap()
    }

    /// The flag of a connection that ended without a byte.
    async fn refused(&self) -> String {
        let mut stream = self.connect().await;
        let mut byte = [0];
        let read = timeout(BOUND, stream.read(&mut byte)).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        let flagged = |line: &serde_json::Value| line["flag"].is_string();
        let line = self.client.logged("the refusal", flagged).await;
        line["flag"].as_str().unwrap_or_default().to_owned()
    }

    async fn retries(&self) -> f64 {
        self.client.metric("weft_retries_total", &[]).await
    }
}

/// Sends `text` and reads it back.
async fn is_echoed(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut back = vec![0; text.len()];
    let read = timeout(BOUND, stream.read_exact(&mut back)).await;
    read.unwrap().unwrap();
    assert_eq!(back, text.as_bytes());
}

#[tokio::test]
async fn a_connection_to_a_pod_whose_application_stopped_goes_to_another() {
    let scene = scene(|_| {}).await;
    applications::echo(scene.pods[1].app).await;
    for _ in 0..10 {
        is_echoed(&mut scene.connect().await, "hello").await;
    }
    let retries = scene.retries().await;
    assert!(retries >= 1.0, "both were asked: {retries} retries");
    // It stops, which is nothing against its conduct.
    let ejected = scene.client.metric("weft_outlier_ejections", &[]).await;
    assert_eq!(ejected, 0.0);
    let retried = |line: &serde_json::Value| line["attempts"].as_u64() > Some(1);
    scene
        .client
        .logged("a connection's attempts", retried)
        .await;
}

#[tokio::test]
async fn one_to_a_server_that_speaks_first_as_well() {
    let scene = scene(|_| {}).await;
    applications::greeter(scene.pods[0].app, "220 ready\r\n").await;
    for _ in 0..6 {
        let mut stream = scene.connect().await;
        let mut greeting = [0; 11];
        let read = timeout(BOUND, stream.read_exact(&mut greeting)).await;
        read.unwrap().unwrap();
        assert_eq!(&greeting, b"220 ready\r\n");
    }
    assert!(scene.retries().await >= 1.0);
}

#[tokio::test]
async fn where_no_pod_has_an_application_the_tries_are_few_and_the_log_says_why() {
    let scene = scene(|_| {}).await;
    assert_eq!(scene.refused().await, "upstream_connect_failure");
    let asked = async |pod: &Pod| {
        let closed = "weft_tcp_connections_closed_total";
        let labels = [r#"response_flag="connect_failure""#];
        pod.proxy.metric(closed, &labels).await
    };
    let both = asked(&scene.pods[0]).await + asked(&scene.pods[1]).await;
    assert!((2.0..=6.0).contains(&both), "{both} attempts");
}

#[tokio::test]
async fn what_a_policy_refuses_is_not_asked_for_again() {
    let scene = scene(|document| {
        document.authorization.push(AuthorizationPolicy {
            id: "shop/nobody".to_owned(),
            selector: Selector::All,
            action: AuthAction::Deny,
            mode: PolicyMode::Enforce,
            rules: vec![AuthRule {
                name: "anybody".to_owned(),
                ..AuthRule::default()
            }],
            unknown: Vec::new(),
        });
    })
    .await;
    for pod in &scene.pods {
        applications::echo(pod.app).await;
    }
    assert_eq!(scene.refused().await, "upstream_denied");
    assert_eq!(scene.retries().await, 0.0);
}

/// While a mesh is upgraded, some proxies speak the ALPN protocols of before.
#[tokio::test]
async fn proxies_that_say_nothing_before_the_first_byte_are_called_as_they_were() {
    let mesh = Mesh::new();
    let address = fresh_address();
    let members = [Member::meshed(address, "echo")];
    mesh.service(("shop", "echo"), 9000, Protocol::Tcp, &members, |_| {});
    let identity = peer::load(&mesh.issue("shop", "echo"));
    let mut config = (*identity.server_config()).clone();
    let known = ["weft/h2", "weft/http1", "weft/tcp"];
    config.alpn_protocols = known.map(|id| id.as_bytes().to_vec()).to_vec();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let entrance = fresh_address();
    let client = mesh.proxy("shop", "frontend");
    let client = client.outbound_bind(entrance, "shop/echo:9000");
    let _client = client.start().await;
    let mut stream = TcpStream::connect(entrance).await.unwrap();
    is_echoed(&mut stream, "hello").await;
}

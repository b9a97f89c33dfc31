//! TCP from an application through its own proxy and the callee's proxy to the callee.

mod mesh;

use std::{net::SocketAddr, time::Duration};

use mesh::{Member, Mesh, Proxy, applications, beside, eventually, fresh_address, spiffe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_engine::documents::{
    Backend, DocumentName, MtlsMode, MtlsPolicy, Protocol, RouteScope, Selector, ServiceRef,
    TcpRule,
};

const BOUND: Duration = Duration::from_secs(10);

/// A client proxy and a server proxy, with an application behind the latter.
struct Pair {
    mesh: Mesh,
    client: Proxy,
    server: Proxy,
    /// Where the client's application connects.
    entrance: SocketAddr,
    /// Where the server's proxy listens.
    pod: SocketAddr,
    app: SocketAddr,
}

async fn pair(protocol: Protocol) -> Pair {
    let mesh = Mesh::new();
    let pod = fresh_address();
    let app = beside(pod);
    let entrance = fresh_address();
    let members = [Member::meshed(pod, "echo")];
    mesh.service(("shop", "echo"), 9000, protocol, &members, |_| {});
    mesh.inbound("shop", &[(pod.port(), protocol)], strict);
    let server = mesh
        .proxy("shop", "echo")
        .inbound_bind(pod, app)
        .start()
        .await;
    let client = mesh
        .proxy("shop", "frontend")
        .outbound_bind(entrance, "shop/echo:9000")
        .start()
        .await;
    Pair {
        mesh,
        client,
        server,
        entrance,
        pod,
        app,
    }
}

fn strict(document: &mut weft_engine::documents::InboundDocument) {
    document.mtls.push(MtlsPolicy {
        id: "shop/strict".to_owned(),
        selector: Selector::All,
        mode: Some(MtlsMode::Strict),
        ..MtlsPolicy::default()
    });
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address)
        .await
        .expect("the proxy accepts")
}

/// Sends `text` and reads it back.
async fn ping(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    let mut back = vec![0; text.len()];
    timeout(BOUND, stream.read_exact(&mut back)).await??;
    assert_eq!(back, text.as_bytes());
    Ok(())
}

/// Whether the peer closes or resets within the bound, having sent nothing.
async fn is_closed_empty(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match timeout(BOUND, stream.read(&mut byte)).await {
        Ok(Ok(0) | Err(_)) => true,
        Ok(Ok(_)) => false,
        Err(_) => panic!("neither closed nor answered within {BOUND:?}"),
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_under_mutual_tls_and_both_ends_are_named() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let mut stream = connect(pair.entrance).await;
    ping(&mut stream, "hello through two proxies")
        .await
        .unwrap();
    let large = "x".repeat(1 << 20);
    let (mut reader, mut writer) = stream.split();
    let mut back = vec![0; large.len()];
    let (sent, received) = tokio::join!(
        writer.write_all(large.as_bytes()),
        timeout(BOUND, reader.read_exact(&mut back))
    );
    sent.unwrap();
    received.unwrap().unwrap();
    assert_eq!(back, large.as_bytes());
    drop(stream);

    let server_line = pair
        .server
        .logged("the server's line", |line| line["protocol"] == "tcp")
        .await;
    assert_eq!(server_line["source_identity"], spiffe("shop", "frontend"));
    assert_eq!(server_line["request_bytes"], (1 << 20) + 25);
    let client_line = pair
        .client
        .logged("the client's line", |line| line["protocol"] == "tcp")
        .await;
    assert_eq!(client_line["destination_identity"], spiffe("shop", "echo"));
    assert_eq!(client_line["endpoint"], pair.pod.to_string());
    let opened = "weft_tcp_connections_opened_total";
    let mtls = [r#"mtls="true""#];
    assert_eq!(pair.client.metric(opened, &mtls).await, 1.0);
    assert_eq!(pair.server.metric(opened, &mtls).await, 1.0);
}

#[tokio::test]
async fn the_end_of_one_direction_leaves_the_other_open() {
    let pair = pair(Protocol::Tcp).await;
    applications::counter(pair.app).await;
    let mut stream = connect(pair.entrance).await;
    stream.write_all(&[7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = timeout(BOUND, stream.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert_eq!(answer, "100000");
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_on_declared_and_undeclared_ports() {
    for protocol in [Protocol::Tcp, Protocol::Auto] {
        let pair = pair(protocol).await;
        applications::greeter(pair.app, "220 ready\r\n").await;
        let mut stream = connect(pair.entrance).await;
        let mut greeting = [0; 11];
        let read = timeout(BOUND, stream.read_exact(&mut greeting)).await;
        read.unwrap().unwrap();
        assert_eq!(&greeting, b"220 ready\r\n");
        ping(&mut stream, "EHLO here").await.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_that_proves_another_identity_gets_no_byte() {
    let pair = pair(Protocol::Tcp).await;
    applications::greeter(pair.app, "secret").await;
    let impostor = [Member::meshed(pair.pod, "someone-else")];
    pair.mesh.endpoints(("shop", "echo"), 9000, &impostor);
    let mut stream = connect(pair.entrance).await;
    assert!(is_closed_empty(&mut stream).await);
    let line = pair
        .client
        .logged("the refusal", |line| line["flag"].is_string())
        .await;
    assert!(line["destination_identity"].is_null(), "{line}");
    assert_eq!(
        pair.server
            .metric("weft_tcp_connections_opened_total", &[])
            .await,
        0.0
    );
}

#[tokio::test]
async fn connections_outlive_a_rotation_and_new_ones_use_the_new_certificate() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let mut old = connect(pair.entrance).await;
    ping(&mut old, "before").await.unwrap();
    for sa in ["echo", "frontend"] {
        pair.mesh.issue("shop", sa);
    }
    for proxy in [&pair.client, &pair.server] {
        eventually("the second generation", || async {
            (proxy.admin("/config").await["identity"]["generation"] == 2).then_some(())
        })
        .await;
    }
    ping(&mut old, "still here").await.unwrap();
    let mut new = connect(pair.entrance).await;
    ping(&mut new, "after").await.unwrap();
}

#[tokio::test]
async fn a_pair_that_does_not_match_leaves_the_old_identity_in_use() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let one = pair.mesh.authority.issue(&spiffe("shop", "echo"));
    let other = pair.mesh.authority.issue(&spiffe("shop", "echo"));
    let mixed = mesh::authority::Issued {
        key: other.key,
        ..one
    };
    mesh::authority::lay_out(&pair.mesh.identity_dir("shop", "echo"), &mixed);
    let rejected = [r#"result="rejected""#];
    eventually("the rejection", || async {
        let count = pair.server.metric("weft_identity_reloads_total", &rejected);
        (count.await >= 1.0).then_some(())
    })
    .await;
    let mut stream = connect(pair.entrance).await;
    ping(&mut stream, "with the old one").await.unwrap();
    assert!(!pair.server.log().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_config_swap_moves_new_connections_and_leaves_open_ones_alone() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let mut old = connect(pair.entrance).await;
    ping(&mut old, "before").await.unwrap();

    // The service now goes to another one, which is outside the mesh and greets.
    let plain = fresh_address();
    applications::greeter(plain, "moved").await;
    let members = [Member::plain(plain)];
    let (name, tcp) = (("shop", "plain"), Protocol::Tcp);
    pair.mesh.service(name, 9001, tcp, &members, |_| {});
    let members = [Member::meshed(pair.pod, "echo")];
    pair.mesh
        .service(("shop", "echo"), 9000, tcp, &members, |port| {
            port.tcp.push(RouteScope {
                client_namespace: None,
                rules: vec![TcpRule {
                    id: "shop/move/0".to_owned(),
                    matches: Vec::new(),
                    backends: vec![Backend {
                        service: ServiceRef {
                            namespace: "shop".to_owned(),
                            name: "plain".to_owned(),
                            port: 9001,
                        },
                        weight: 1,
                        ..Backend::default()
                    }],
                }],
            });
        });
    eventually("the greeting of the new backend", || async {
        let mut stream = connect(pair.entrance).await;
        let mut greeting = [0; 5];
        let read = timeout(Duration::from_millis(500), stream.read_exact(&mut greeting)).await;
        matches!(read, Ok(Ok(_)) if &greeting == b"moved").then_some(())
    })
    .await;
    ping(&mut old, "still the old one").await.unwrap();
    let line = pair
        .client
        .logged("the routed connection", |line| line["route"].is_string())
        .await;
    assert_eq!(line["route"], "shop/move/0");
}

#[tokio::test]
async fn a_broken_document_keeps_the_last_good_one_and_says_so() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    ping(&mut connect(pair.entrance).await, "before")
        .await
        .unwrap();
    let name = DocumentName::Service("shop".to_owned(), "echo".to_owned());
    pair.mesh.publish_raw(&name, "{ \"apiVersion\": ");
    eventually("the rejection", || async {
        let config = pair.client.admin("/config").await;
        config["documents"]["service.shop.echo"]["rejected"]
            .is_string()
            .then_some(())
    })
    .await;
    ping(&mut connect(pair.entrance).await, "after")
        .await
        .unwrap();
    let rejected = [r#"result="rejected""#];
    let count = pair.client.metric("weft_config_reloads_total", &rejected);
    assert_eq!(count.await, 1.0);
}

#[tokio::test]
async fn a_restart_without_the_config_source_starts_from_the_last_good_state() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let state = pair.mesh.path().join("state");
    let entrance = fresh_address();
    let start = |mesh: &Mesh| {
        mesh.proxy("shop", "frontend")
            .arg("--state-dir", state.display())
            .outbound_bind(entrance, "shop/echo:9000")
    };
    let first = start(&pair.mesh).start().await;
    ping(&mut connect(entrance).await, "before").await.unwrap();
    drop(first);
    let gone = pair.mesh.path().join("gone");
    std::fs::rename(pair.mesh.config_dir(), &gone).unwrap();
    let _second = start(&pair.mesh).start().await;
    ping(&mut connect(entrance).await, "after").await.unwrap();
}

#[tokio::test]
async fn a_drain_lets_open_connections_finish_and_takes_no_new_ones() {
    let mut pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let mut open = connect(pair.entrance).await;
    ping(&mut open, "before").await.unwrap();
    pair.client.terminate();
    eventually("refused connections", || async {
        let is_refused = TcpStream::connect(pair.entrance).await.is_err();
        is_refused.then_some(())
    })
    .await;
    assert!(!pair.client.is_ready().await);
    ping(&mut open, "while draining").await.unwrap();
    drop(open);
    assert!(pair.client.ended().await.success());
}

#[tokio::test]
async fn a_drain_ends_at_its_time_out() {
    let pair = pair(Protocol::Tcp).await;
    applications::echo(pair.app).await;
    let entrance = fresh_address();
    let mut proxy = pair
        .mesh
        .proxy("shop", "frontend")
        .outbound_bind(entrance, "shop/echo:9000")
        .arg("--drain-timeout", "300ms")
        .start()
        .await;
    let mut open = connect(entrance).await;
    ping(&mut open, "before").await.unwrap();
    proxy.terminate();
    assert!(proxy.ended().await.success());
    assert!(is_closed_empty(&mut open).await);
}

//! Every refusal says what refused it: in the answer where there is one, in log and metrics.

mod mesh;

use std::{net::SocketAddr, time::Duration};

use mesh::{Mesh, Proxy, applications, beside, fresh_address};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_engine::documents::{
    Document, InboundPort, MeshDocument, MtlsMode, MtlsPolicy, Protocol, Selector,
};

const BOUND: Duration = Duration::from_secs(10);

struct Server {
    _mesh: Mesh,
    proxy: Proxy,
    pod: SocketAddr,
}

/// A server whose port belongs to the Service `ratings`; `strict`: by which MeshPolicy, `None`
/// by the mesh's default.
async fn server(protocol: Protocol, mode: MtlsMode, policy: Option<&str>) -> Server {
    let mesh = Mesh::new();
    let (pod, plain) = (fresh_address(), Protocol::Auto);
    let app = beside(pod);
    applications::echo(app).await;
    if policy.is_none() {
        mesh.publish(Document::Mesh(MeshDocument {
            trust_domain: mesh::TRUST_DOMAIN.to_owned(),
            mtls: Some(mode),
            ..MeshDocument::default()
        }));
    }
    mesh.inbound("shop", &[(pod.port().wrapping_add(1), plain)], |document| {
        document.ports.push(InboundPort {
            service: "ratings".to_owned(),
            selector: Selector::All,
            port: pod.port(),
            protocol,
        });
        document.mtls.extend(policy.map(|id| MtlsPolicy {
            id: id.to_owned(),
            mode: Some(mode),
            ..MtlsPolicy::default()
        }));
    });
    let proxy = mesh
        .proxy("shop", "accounts-have-other-names")
        .inbound_bind(pod, app)
        .start()
        .await;
    Server {
        _mesh: mesh,
        proxy,
        pod,
    }
}

/// What comes back for `bytes` until the peer closes.
async fn answer(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // A peer that refuses early resets while we write: that is an answer as well.
    let _ = stream.write_all(bytes).await;
    let mut back = Vec::new();
    let _ = timeout(BOUND, stream.read_to_end(&mut back))
        .await
        .expect("the connection is closed within the bound");
    String::from_utf8_lossy(&back).into_owned()
}

#[tokio::test]
async fn plaintext_before_a_strict_port_is_told_which_policy_made_it_so() {
    for (policy, by) in [
        (Some("shop/locked"), "shop/locked/mtls"),
        (None, "mtls/strict"),
    ] {
        let server = server(Protocol::Http, MtlsMode::Strict, policy).await;
        let back = answer(
            server.pod,
            b"GET / HTTP/1.1\r\nhost: ratings\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(back.starts_with("HTTP/1.1 403 "), "{back}");
        assert!(
            back.contains(&format!("x-weft-denied-by: {by}\r\n")),
            "{back}"
        );
        assert!(back.contains("x-weft-flag: mtls_required\r\n"), "{back}");
        assert!(back.contains(&format!("({by})")), "{back}");
        let line = server
            .proxy
            .logged("the refusal", |line| line["flag"] == "mtls_required")
            .await;
        assert_eq!(line["rule"], by);
        assert_eq!(line["status"], 403);
    }
}

#[tokio::test]
async fn a_closed_connection_has_a_line_that_names_the_policy() {
    let server = server(Protocol::Tcp, MtlsMode::Strict, Some("shop/locked")).await;
    assert_eq!(answer(server.pod, b"hello\r\n").await, "");
    let line = server
        .proxy
        .logged("the refusal", |line| line["flag"] == "mtls_required")
        .await;
    assert_eq!(line["rule"], "shop/locked/mtls");
    let port = server.pod.port();
    assert_eq!(line["destination"], format!("shop/ratings:{port}"));
}

#[tokio::test]
async fn what_the_parser_refuses_is_counted_and_logged() {
    let server = server(Protocol::Http, MtlsMode::Permissive, Some("shop/open")).await;
    let long_line = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000));
    let long_field = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    for (bytes, status) in [
        (&b"GET / HTTP/1.1\r\nho st: a\r\n\r\n"[..], 400),
        (b"G\x00T / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (long_field.as_bytes(), 431),
        (long_line.as_bytes(), 431),
    ] {
        let before = server
            .proxy
            .access_log()
            .iter()
            .filter(|line| line["status"] == status)
            .count();
        let back = answer(server.pod, bytes).await;
        // A large head may be cut by a reset before its answer is read.
        assert!(
            back.is_empty() || back.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {back}"
        );
        mesh::eventually("its line", || async {
            let lines = server.proxy.access_log();
            let mut told = lines
                .iter()
                .filter(|line| line["status"] == status && line["flag"] == "malformed_request");
            told.nth(before).map(|_| ())
        })
        .await;
        let code = format!(r#"response_code="{status}""#);
        let labels = [r#"response_flag="malformed_request""#, code.as_str()];
        let count = server.proxy.metric("weft_requests_total", &labels).await;
        assert_eq!(count, before as f64 + 1.0, "{status}");
    }
}

#[tokio::test]
async fn inbound_requests_and_connections_belong_to_the_service_that_declares_the_port() {
    let server = server(Protocol::Tcp, MtlsMode::Permissive, Some("shop/open")).await;
    let mut stream = TcpStream::connect(server.pod).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "hello");
    let destination = format!("shop/ratings:{}", server.pod.port());
    server
        .proxy
        .logged("the connection", |line| line["destination"] == *destination)
        .await;
    let labels = [
        r#"destination_service="ratings""#,
        r#"destination_namespace="shop""#,
    ];
    let closed = server
        .proxy
        .metric("weft_tcp_connections_closed_total", &labels)
        .await;
    assert_eq!(closed, 1.0);
}

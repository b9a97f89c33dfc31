//! What an inbound port lets in.

mod mesh;

use std::{net::SocketAddr, time::Duration};

use mesh::{Mesh, Proxy, applications, authority::lay_out, beside, fresh_address, peer, spiffe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use weft_engine::documents::{
    AuthAction, AuthRule, AuthorizationPolicy, InboundDocument, MtlsMode, MtlsPolicy, PolicyMode,
    Protocol, RuleFrom, RuleTo, Selector,
};
use weft_proxy::identity::MeshAlpn;

const BOUND: Duration = Duration::from_secs(10);

struct Server {
    mesh: Mesh,
    proxy: Proxy,
    pod: SocketAddr,
    app: SocketAddr,
}

async fn server(protocol: Protocol, change: impl FnOnce(&mut InboundDocument)) -> Server {
    let mesh = Mesh::new();
    let pod = fresh_address();
    let app = beside(pod);
    mesh.inbound("shop", &[(pod.port(), protocol)], change);
    let proxy = mesh
        .proxy("shop", "echo")
        .inbound_bind(pod, app)
        .start()
        .await;
    Server {
        mesh,
        proxy,
        pod,
        app,
    }
}

fn mtls(mode: MtlsMode) -> impl FnOnce(&mut InboundDocument) {
    move |document| {
        document.mtls.push(MtlsPolicy {
            id: "shop/mode".to_owned(),
            selector: Selector::All,
            mode: Some(mode),
            ..MtlsPolicy::default()
        });
    }
}

/// What comes back for `bytes` until the peer closes, and how long that took. Fails when it
/// stays open beyond the bound.
async fn answer(address: SocketAddr, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A peer that refuses early resets while we write: that is an answer as well.
    let _ = stream.write_all(bytes).await;
    let mut back = Vec::new();
    let _ = timeout(BOUND, stream.read_to_end(&mut back))
        .await
        .expect("the connection is closed within the bound");
    (back, begin.elapsed())
}

/// The first `length` bytes of a ClientHello that offers mesh TLS.
fn hello(length: usize) -> Vec<u8> {
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"weft/tcp".to_vec()];
    let name = "mesh.test".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[tokio::test]
async fn a_workload_of_the_mesh_is_let_in_and_named() {
    let server = server(Protocol::Tcp, mtls(MtlsMode::Strict)).await;
    applications::echo(server.app).await;
    let client = server.mesh.issue("web", "frontend");
    let echo = spiffe("shop", "echo");
    let mut stream = peer::connect(&client, server.pod, &echo, MeshAlpn::Tcp)
        .await
        .unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    stream.shutdown().await.unwrap();
    let line = server
        .proxy
        .logged("the connection", |line| line["protocol"] == "tcp")
        .await;
    assert_eq!(line["source_identity"], spiffe("web", "frontend"));
}

/// TLS 1.3 tells the client of a refused certificate only after its own handshake is done.
async fn is_refused(server: &Server, client: &std::path::Path) -> bool {
    let echo = spiffe("shop", "echo");
    let connected = peer::connect(client, server.pod, &echo, MeshAlpn::Tcp).await;
    let Ok(mut stream) = connected else {
        return true;
    };
    let _ = stream.write_all(b"hello").await;
    let mut back = [0; 5];
    let read = timeout(BOUND, stream.read_exact(&mut back)).await;
    read.expect("refused or answered within the bound").is_err()
}

#[tokio::test]
async fn certificates_of_others_are_refused() {
    let server = server(Protocol::Tcp, |_| {}).await;
    applications::echo(server.app).await;
    let directory = |name: &str| server.mesh.path().join(name);
    let hour = Duration::from_secs(3600);

    // The control: the same way in, with a good certificate.
    assert!(!is_refused(&server, &server.mesh.issue("web", "frontend")).await);

    // Another authority, whose bundle the client mixes with ours so that it trusts the server.
    let mut foreign = mesh::Authority::new().issue(&spiffe("web", "frontend"));
    foreign.bundle = server.mesh.authority.root_pem().to_owned();
    lay_out(&directory("foreign"), &foreign);
    assert!(is_refused(&server, &directory("foreign")).await);

    let other_domain = "spiffe://elsewhere.test/ns/web/sa/frontend";
    let issued = server.mesh.authority.issue_for(&[other_domain], hour);
    lay_out(&directory("domain"), &issued);
    assert!(is_refused(&server, &directory("domain")).await);

    // The proxy counts a handshake after the client has seen it refused.
    let proxy = &server.proxy;
    mesh::eventually("both refusals are counted", || async {
        let failed = proxy
            .metric("weft_tls_handshakes_total", &[r#"result="tls""#])
            .await;
        (failed == 2.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let server = server(Protocol::Tcp, |_| {}).await;
    applications::echo(server.app).await;
    let mut roots = rustls::RootCertStore::empty();
    use rustls_pki_types::pem::PemObject;
    let root = server.mesh.authority.root_pem().as_bytes();
    roots
        .add(rustls_pki_types::CertificateDer::from_pem_slice(root).unwrap())
        .unwrap();
    let mut config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(AnyServer))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"weft/tcp".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(server.pod).await.unwrap();
    let name = "mesh.test".try_into().unwrap();
    if let Ok(mut stream) = connector.connect(name, stream).await {
        let _ = stream.write_all(b"hello").await;
        let mut back = [0; 5];
        let read = timeout(BOUND, stream.read_exact(&mut back)).await;
        assert!(read.expect("closed within the bound").is_err());
    }
}

#[derive(Debug)]
struct AnyServer;

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![
            rustls::SignatureScheme::ECDSA_NISTP256_SHA256,
            rustls::SignatureScheme::ED25519,
        ]
    }
}

#[tokio::test]
async fn strict_refuses_plaintext_and_foreign_tls() {
    let server = server(Protocol::Tcp, mtls(MtlsMode::Strict)).await;
    applications::greeter(server.app, "secret").await;
    for bytes in [
        &b"hello\r\n"[..],
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x00\x01\x02",
    ] {
        let (back, _) = answer(server.pod, bytes).await;
        assert_eq!(back, b"", "for {bytes:?}");
    }
    let refused = [r#"reason="mtls_required""#];
    let count = server
        .proxy
        .metric("weft_connections_refused_total", &refused);
    assert_eq!(count.await, 3.0);
}

#[tokio::test]
async fn permissive_takes_plaintext_and_lets_the_server_speak_first() {
    let server = server(Protocol::Tcp, mtls(MtlsMode::Permissive)).await;
    applications::greeter(server.app, "220 ready").await;
    let mut stream = TcpStream::connect(server.pod).await.unwrap();
    let mut greeting = [0; 9];
    let read = timeout(BOUND, stream.read_exact(&mut greeting)).await;
    read.unwrap().unwrap();
    assert_eq!(&greeting, b"220 ready");
}

#[tokio::test]
async fn disabled_passes_every_byte_on_as_it_came() {
    let server = server(Protocol::Tcp, mtls(MtlsMode::Disabled)).await;
    applications::echo(server.app).await;
    let bytes = hello(200);
    let mut stream = TcpStream::connect(server.pod).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    let read = timeout(BOUND, stream.read_exact(&mut back)).await;
    read.unwrap().unwrap();
    assert_eq!(back, bytes);
}

#[tokio::test]
async fn half_a_hello_and_garbage_are_closed_in_bounded_time_and_counted() {
    let server = server(Protocol::Http, mtls(MtlsMode::Strict)).await;
    let whole = hello(usize::MAX);
    assert!(whole.len() > 300);
    let mut garbage = vec![0x16, 3, 1, 0x40, 0];
    garbage.extend([0xff; 2000]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("one byte", hello(1)),
        ("half a hello", hello(whole.len() / 2)),
        ("all but one byte", hello(whole.len() - 1)),
        ("garbage in a handshake record", garbage),
        ("binary", vec![0xff; 4096]),
        ("nothing", Vec::new()),
        ("a whole hello and silence", whole),
    ];
    let pod = server.pod;
    let waits = cases.iter().map(|(what, bytes)| async move {
        let (back, took) = answer(pod, bytes).await;
        // A TLS alert or the server's own flight may come back, never the application's bytes.
        assert!(
            back.is_empty() || matches!(back[0], 0x14..=0x17),
            "{what}: {back:?}"
        );
        assert!(took < Duration::from_secs(8), "{what} took {took:?}");
    });
    futures::future::join_all(waits).await;
    let refused = server.proxy.metric("weft_connections_refused_total", &[]);
    assert!(refused.await >= 6.0);
    // And it still serves.
    applications::echo(server.app).await;
    assert!(!is_refused(&server, &server.mesh.issue("web", "frontend")).await);
}

#[tokio::test]
async fn calling_http_tcp_passes_no_rule_on_http() {
    // Only GET is allowed, and that cannot be seen on a TCP connection.
    let server = server(Protocol::Http, |document| {
        document.authorization.push(AuthorizationPolicy {
            id: "shop/readers".to_owned(),
            unknown: Vec::new(),
            selector: Selector::All,
            action: AuthAction::Allow,
            mode: PolicyMode::Enforce,
            rules: vec![AuthRule {
                name: "get".to_owned(),
                to: vec![RuleTo {
                    methods: vec!["GET".to_owned()],
                    ..RuleTo::default()
                }],
                ..AuthRule::default()
            }],
        });
    })
    .await;
    applications::echo(server.app).await;
    assert!(is_refused(&server, &server.mesh.issue("web", "frontend")).await);
    let line = server
        .proxy
        .logged("the refusal", |line| line["flag"] == "denied_by")
        .await;
    assert_eq!(line["rule"], "shop/readers/-");
}

#[tokio::test]
async fn a_policy_on_callers_is_kept_on_tcp() {
    let server = server(Protocol::Tcp, |document| {
        document.authorization.push(AuthorizationPolicy {
            id: "shop/callers".to_owned(),
            unknown: Vec::new(),
            selector: Selector::All,
            action: AuthAction::Allow,
            mode: PolicyMode::Enforce,
            rules: vec![AuthRule {
                name: "frontend".to_owned(),
                from: vec![RuleFrom {
                    service_accounts: vec!["web/frontend".to_owned()],
                    ..RuleFrom::default()
                }],
                ..AuthRule::default()
            }],
        });
    })
    .await;
    applications::echo(server.app).await;
    assert!(!is_refused(&server, &server.mesh.issue("web", "frontend")).await);
    assert!(is_refused(&server, &server.mesh.issue("web", "other")).await);
    let (back, _) = answer(server.pod, b"plaintext has no identity").await;
    assert_eq!(back, b"");
}

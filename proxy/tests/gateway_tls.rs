//! A gateway's listener that ends TLS: clients see its certificate, also the next one; the
//! application learns that they came by TLS; plaintext is not taken.

mod mesh;
mod web;

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use weft_engine::documents::{
    Backend, Document, GatewayDocument, GatewayListener, HttpAction, HttpMatch, HttpRule,
    PathMatch, Protocol, Redirect, ServiceRef,
};

use mesh::{Member, Mesh, eventually, fresh_address};
use web::{App, BOUND};

const HOST: &str = "shop.example";

/// A certificate for the host, in a directory as of a mounted Secret.
fn issue(directory: &Path) -> CertificateDer<'static> {
    let issued = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    fs::create_dir_all(directory).unwrap();
    fs::write(
        directory.join("tls.key"),
        issued.signing_key.serialize_pem(),
    )
    .unwrap();
    fs::write(directory.join("tls.crt"), issued.cert.pem()).unwrap();
    issued.cert.der().clone()
}

fn rule(name: &str, path: &str, action: HttpAction) -> HttpRule {
    let mut rule: HttpRule = serde_json::from_value(serde_json::json!({
        "id": format!("edge/public/{name}"), "action": {"forward": []},
    }))
    .unwrap();
    rule.matches = vec![HttpMatch {
        path: Some(PathMatch::Prefix(path.to_owned())),
        ..HttpMatch::default()
    }];
    rule.action = action;
    rule
}

fn publish(mesh: &Mesh, app: SocketAddr) {
    mesh.service(
        ("shop", "web"),
        80,
        Protocol::Http,
        &[Member::plain(app)],
        |_| {},
    );
    let forward = HttpAction::Forward(vec![Backend {
        service: ServiceRef {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            port: 80,
        },
        weight: 1,
        ..Backend::default()
    }]);
    let elsewhere = HttpAction::Redirect(Redirect {
        hostname: Some("other.example".to_owned()),
        status_code: 302,
        ..Redirect::default()
    });
    mesh.publish(Document::Gateway(GatewayDocument {
        namespace: "edge".to_owned(),
        name: "public".to_owned(),
        listeners: vec![GatewayListener {
            name: "https".to_owned(),
            port: 443,
            tls: true,
            hostname: None,
            http: vec![
                rule("web", "/", forward),
                rule("moved", "/moved", elsewhere),
            ],
        }],
        authorization: Vec::new(),
    }));
}

/// `GET path` by a client that trusts `root` alone: status, `Location`, and how it spoke.
async fn get(
    gateway: SocketAddr,
    root: &CertificateDer<'static>,
    alpn: &str,
    path: &str,
) -> Result<(u16, String), std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(gateway).await?;
    let name = ServerName::try_from(HOST).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
    let request = Request::get(format!("https://{HOST}{path}"))
        .header("host", HOST)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let stream = TokioIo::new(stream);
    let response = if alpn == "h2" {
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, stream)
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        let (mut parts, body) = request.into_parts();
        parts.uri = path.parse().unwrap();
        sender.send_request(Request::from_parts(parts, body)).await
    };
    let response = response.map_err(std::io::Error::other)?;
    let status = response.status().as_u16();
    let location = response.headers().get("location");
    let location = location
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    response
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?;
    Ok((status, location))
}

#[tokio::test]
async fn a_listener_ends_tls_and_shows_the_certificate_of_the_moment() {
    let mesh = Mesh::new();
    let (app, gateway) = (fresh_address(), fresh_address());
    let app = App::named(app, "web").await;
    publish(&mesh, app.address);
    let directory = mesh.path().join("certificate");
    let first = issue(&directory);
    let _proxy = mesh
        .proxy("edge", "public")
        .arg("--gateway", "edge/public")
        .arg("--gateway-bind", format!("{gateway}=https"))
        .arg(
            "--gateway-certificate",
            format!("https={}", directory.display()),
        )
        .start()
        .await;

    for alpn in ["http/1.1", "h2"] {
        let answer = eventually("the service is reached", || async {
            let answer = get(gateway, &first, alpn, "/").await.ok()?;
            (answer.0 == 200).then_some(answer)
        })
        .await;
        assert_eq!(answer.0, 200);
        let seen = app.seen().pop().unwrap();
        assert_eq!(seen.headers()["x-forwarded-proto"], "https", "{alpn}");
        // A redirect that names no scheme keeps the client's, and the listener's port is TLS's own.
        let (status, location) = get(gateway, &first, alpn, "/moved/x").await.unwrap();
        assert_eq!((status, &*location), (302, "https://other.example/moved/x"));
    }

    // In plaintext nobody gets an answer, let alone the application.
    let before = app.count();
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(BOUND, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(
        !answer.starts_with(b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(app.count(), before);

    // The next certificate is shown to who connects next; one that cannot be used never is.
    fs::write(directory.join("tls.crt"), "no certificate").unwrap();
    let second = issue(&directory);
    eventually("the new certificate is shown", || async {
        let answer = get(gateway, &second, "http/1.1", "/").await.ok()?;
        (answer.0 == 200).then_some(())
    })
    .await;
    assert!(get(gateway, &first, "http/1.1", "/").await.is_err());
}

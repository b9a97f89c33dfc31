//! Hostile input: an answer of 4xx or a close in bounded time, never a bypass.

mod mesh;
mod web;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use weft_engine::documents::{
    AuthAction, AuthRule, AuthorizationPolicy, PolicyMode, Protocol, RuleTo, Selector,
};

use web::{App, HOST, Shop};

const BOUND: Duration = Duration::from_secs(20);

/// Status of the first answer, or `None` for a close without one. Fails when the connection
/// stays open.
async fn fate(address: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Who refuses early resets while we write: that is an answer as well.
    let _ = stream.write_all(bytes).await;
    let mut back = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        while let Ok(read) = stream.read(&mut buffer).await {
            if read == 0 {
                break;
            }
            back.extend_from_slice(&buffer[..read]);
        }
    };
    if timeout(BOUND, read).await.is_err() {
        let begin: String = String::from_utf8_lossy(bytes).chars().take(120).collect();
        panic!(
            "left open: {begin:?}, answered {:?}",
            String::from_utf8_lossy(&back)
        );
    }
    let text = String::from_utf8_lossy(&back);
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// A shop whose policy keeps everyone out of `/admin`, and the addresses of its doors: the
/// client's outbound, and the server's inbound in plaintext.
async fn guarded() -> (Shop, App, [SocketAddr; 2]) {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let pod = shop.instances[0].pod;
    shop.mesh
        .inbound("shop", &[(pod.port(), Protocol::Http)], |inbound| {
            inbound.authorization.push(AuthorizationPolicy {
                id: "shop/no-admin".to_owned(),
                unknown: Vec::new(),
                selector: Selector::All,
                mode: PolicyMode::Enforce,
                action: AuthAction::Deny,
                rules: vec![AuthRule {
                    name: "admin".to_owned(),
                    to: vec![RuleTo {
                        paths: vec!["/admin".to_owned(), "/admin/*".to_owned()],
                        ..RuleTo::default()
                    }],
                    ..AuthRule::default()
                }],
            });
        });
    let app = App::named(shop.instances[0].app, "v1").await;
    mesh::eventually("the policy is active", || async {
        let mut client = shop.http1().await;
        (client.get(HOST, "/admin").await.status == 403).then_some(())
    })
    .await;
    let doors = [shop.client.outbound, pod];
    (shop, app, doors)
}

#[tokio::test]
async fn malformed_requests_get_a_4xx_and_reach_no_application() {
    let (_shop, app, doors) = guarded().await;
    let before = app.count();
    let big = "a".repeat(1 << 20);
    let many: String = (0..10_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    let host = format!("Host: {HOST}\r\n");
    let chunked = format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n");
    let requests = [
        ("garbage", "\u{1}\u{2}garbage\r\n\r\n".to_owned()),
        (
            "1 MiB header",
            format!("GET / HTTP/1.1\r\n{host}x: {big}\r\n\r\n"),
        ),
        (
            "10,000 headers",
            format!("GET / HTTP/1.1\r\n{host}{many}\r\n"),
        ),
        ("1 MiB target", format!("GET /{big} HTTP/1.1\r\n{host}\r\n")),
        (
            "both lengths",
            format!(
                "POST / HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "two lengths",
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        ),
        (
            "another coding",
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "NUL in a header",
            format!("GET / HTTP/1.1\r\n{host}x: a\0b\r\n\r\n"),
        ),
        (
            "CR in a header",
            format!("GET / HTTP/1.1\r\n{host}x: a\rb\r\n\r\n"),
        ),
        (
            "space before the colon",
            format!("GET / HTTP/1.1\r\n{host}x : a\r\n\r\n"),
        ),
        (
            "folded header",
            format!("GET / HTTP/1.1\r\n{host}x: a\r\n b\r\n\r\n"),
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("two hosts", format!("GET / HTTP/1.1\r\n{host}{host}\r\n")),
        (
            "host with user",
            format!("GET / HTTP/1.1\r\nHost: a@{HOST}\r\n\r\n"),
        ),
        (
            "other absolute target",
            format!("GET http://evil/ HTTP/1.1\r\n{host}\r\n"),
        ),
        ("CONNECT", format!("CONNECT {HOST} HTTP/1.1\r\n{host}\r\n")),
        (
            "encoded slash",
            format!("GET /a%2fadmin HTTP/1.1\r\n{host}\r\n"),
        ),
        ("encoded NUL", format!("GET /a%00 HTTP/1.1\r\n{host}\r\n")),
        (
            "above the root",
            format!("GET /../../admin HTTP/1.1\r\n{host}\r\n"),
        ),
        ("bad encoding", format!("GET /%zz HTTP/1.1\r\n{host}\r\n")),
        ("bad version", format!("GET / HTTP/9.9\r\n{host}\r\n")),
    ];
    for door in doors {
        for (what, request) in &requests {
            let fate = fate(door, request.as_bytes()).await;
            assert!(
                fate.is_none_or(|status| (400..=505).contains(&status) && status != 404),
                "{what} at {door}: {fate:?}"
            );
        }
    }
    assert_eq!(app.count(), before, "something reached the application");

    // A body that breaks after a good head: whatever is answered, the connection ends.
    for body in [
        "zz\r\n",
        "5\r\nhelloXX",
        "fffffffffffffffffffff\r\n",
        "-1\r\n",
    ] {
        for door in doors {
            let fate = fate(door, format!("{chunked}{body}").as_bytes()).await;
            assert!(fate.is_none_or(|status| status >= 400), "{body}: {fate:?}");
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_passes_the_policy() {
    let (_shop, app, doors) = guarded().await;
    let before = app.count();
    for path in [
        "/admin",
        "/admin/",
        "//admin",
        "/./admin",
        "/a/../admin",
        "/a/%2e%2e/admin",
        "/%2e/admin",
        "/%61dmin",
        "/admin%2fx",
        "/admin/..%2f",
        "/admin?x",
        "/admin/;x",
        "http://reviews.shop:9080/admin",
    ] {
        for door in doors {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
            let fate = fate(door, request.as_bytes()).await;
            assert!(
                matches!(fate, Some(400 | 403)),
                "{path} at {door}: {fate:?}"
            );
        }
    }
    // Smuggled behind a request that is let in, and by way of an upgrade.
    for smuggled in [
        format!(
            "POST /ok HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        ),
        format!(
            "GET /ok HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nGET /admin HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        ),
    ] {
        for door in doors {
            let _ = fate(door, smuggled.as_bytes()).await;
        }
    }
    let admin = app
        .seen()
        .into_iter()
        .skip(before)
        .filter(|request| request.uri().path().contains("admin"))
        .count();
    assert_eq!(admin, 0, "something reached /admin");
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let (_shop, _app, doors) = guarded().await;
    let begin = Instant::now();
    let cut = doors.map(|door| async move {
        let mut stream = TcpStream::connect(door).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let drip = tokio::spawn(async move {
            while writer.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let mut back = Vec::new();
        let end = timeout(BOUND, reader.read_to_end(&mut back)).await;
        drip.abort();
        end.expect("cut off in bounded time")
    });
    let _ = futures::future::join_all(cut).await;
    assert!(
        begin.elapsed() > Duration::from_secs(5),
        "a head may take a while"
    );
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_not_the_proxy() {
    let (shop, _app, _) = guarded().await;
    let stream = TcpStream::connect(shop.client.outbound).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut left = Some(sender);
    for _ in 0..5_000 {
        let request = http::Request::get(format!("http://{HOST}/"));
        let Some(sender) = left.take() else { break };
        let Ok(mut sender) = timeout(BOUND, sender.ready()).await.expect("no hang") else {
            break;
        };
        let Ok((_, mut stream)) = sender.send_request(request.body(()).unwrap(), true) else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        left = Some(sender);
        tokio::task::yield_now().await;
    }
    drop(left);
    let _ = timeout(BOUND, driver).await.expect("the connection ends");
    assert_eq!(shop.http1().await.get(HOST, "/").await.status, 200);
}

use futures::StreamExt;
use weft_engine::documents::{
    AuthAction, AuthRule, AuthorizationPolicy, PolicyMode, RuleTo, Selector,
};
use weft_proxy::identity::MeshAlpn;

use crate::{
    frames,
    mesh::{peer, spiffe},
    site::{Door, HOST, HTTP2, PROXIED, Site},
    wire,
};

fn policy(id: &str, action: AuthAction, to: RuleTo) -> AuthorizationPolicy {
    AuthorizationPolicy {
        unknown: Vec::new(),
        id: id.to_owned(),
        selector: Selector::All,
        action,
        mode: PolicyMode::Enforce,
        rules: vec![AuthRule {
            name: "0".to_owned(),
            to: vec![to],
            ..AuthRule::default()
        }],
    }
}

fn no_admin() -> AuthorizationPolicy {
    policy(
        "shop/no-admin",
        AuthAction::Deny,
        RuleTo {
            paths: vec!["/admin".to_owned(), "/admin/*".to_owned()],
            // Unsaid, the TCP port would be denied as well: its paths cannot be seen.
            ports: vec![8080],
            ..RuleTo::default()
        },
    )
}

/// The TCP port stays open, so that every door serves.
fn echo() -> AuthorizationPolicy {
    policy(
        "shop/echo",
        AuthAction::Allow,
        RuleTo {
            ports: vec![9000],
            ..RuleTo::default()
        },
    )
}

fn readers() -> AuthorizationPolicy {
    policy(
        "shop/readers",
        AuthAction::Allow,
        RuleTo {
            methods: vec!["GET".to_owned()],
            paths: vec!["/public/*".to_owned()],
            ..RuleTo::default()
        },
    )
}

/// Spellings that some server takes for a path below `/admin`.
const SPELLINGS: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/x",
    "/admin?x",
    "/admin?",
    "/admin#x",
    "//admin",
    "///admin//x",
    "/./admin",
    "/././admin/.",
    "/admin/.",
    "/admin/..//admin",
    "/x/../admin",
    "/public/../admin",
    "/public/x/../../admin",
    "/public//../admin",
    "/public/./../admin",
    "/public/.//../admin/",
    "/public/..//admin",
    "/../admin",
    "/../../admin",
    "/public/../../admin",
    "/%61dmin",
    "/%61%64%6d%69%6e",
    "/%61%64%6D%69%6E/x",
    "/adm%69n?x=/public/",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public/%2e./admin",
    "/public/%2e%2e//admin",
    "/public/%2e/%2e%2e/admin",
    "/%2e%2e/admin",
    "/%2e/admin",
    "/%2fadmin",
    "/%2Fadmin",
    "/public/..%2fadmin",
    "/public/..%2Fadmin",
    "/public/%2e%2e%2fadmin",
    "/public/x%2f..%2f..%2fadmin",
    "/public%2f..%2fadmin",
    "/admin%2fx",
    "/admin%2f",
    "/admin%2f..%2fpublic/x",
    "/%5cadmin",
    "/public/..%5cadmin",
    "/public/%2e%2e%5cadmin",
    "/public\\..\\admin",
    "/public/..\\admin",
    "\\admin",
    "/\\admin",
    "/admin%00",
    "/admin%00/public/x",
    "/public/%00/../admin",
    "/admin%0a",
    "/admin%0d%0a",
    "/admin%09",
    "/admin%7f",
    "/public/..;/admin",
    "/public/..;x=1/admin",
    "/public/%2e%2e;/admin",
    "/public;x/../admin",
    "/public/;/../../admin",
    "/.;/admin",
    "/admin%",
    "/admin%2",
    "/%admin",
    "/public/%%32e%%32e/admin",
    "/public/%u002e%u002e/admin",
    "/public/x#/../../admin",
    "/public/x?/../../admin",
    "http://api.shop:80/admin",
    "http://api.shop:80//admin",
    "http://api.shop:80/public/../admin",
    "HTTP://api.shop:80/%61dmin",
    "http://api.shop:80/public/%2e%2e/admin",
    "http://api.shop:80",
    "/http://api.shop:80/admin",
    "//api.shop:80/admin",
    "admin",
    "./admin",
    "../admin",
    "%2fadmin",
    "?/admin",
    "*",
    "/public/x HTTP/1.1\r\nHost: api.shop:80\r\n\r\nGET /admin",
    "/public/x\r\nX: y",
    "/public/x\nGET /admin",
    "/public/x\t/admin",
    "/admin\0/public",
    "/public/x\0/../../admin",
];

/// Whether a server that decodes once, takes `\` for `/`, drops parameters and stops at NUL
/// would serve this from below `/admin`.
fn means_admin(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix("http://api.shop:80").unwrap_or(path);
    let mut decoded = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let mut digit = || char::from(ahead.next()?).to_digit(16);
        match (byte == b'%')
            .then(|| Some(digit()? * 16 + digit()?))
            .flatten()
        {
            Some(value) => {
                decoded.push(value as u8);
                bytes = ahead;
            }
            None => decoded.push(byte),
        }
    }
    let decoded: Vec<u8> = decoded.into_iter().take_while(|byte| *byte != 0).collect();
    let decoded = String::from_utf8_lossy(&decoded).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.trim()),
        }
    }
    segments.first() == Some(&"admin")
}

#[test]
fn the_judge_knows_what_means_admin() {
    for path in [
        "/admin",
        "//admin/x",
        "/a/../admin",
        "/a%2f..%2fadmin",
        "/a/..;/admin",
        "/\\admin",
    ] {
        assert!(means_admin(path), "{path}");
    }
    for path in [
        "/public/x",
        "/administrator",
        "/public/admin",
        "/a?/admin",
        "/",
    ] {
        assert!(!means_admin(path), "{path}");
    }
}

const METHODS: [&str; 11] = [
    "GET", "get", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "GETX", "PROPFIND",
];

/// Sends every spelling through every door, in HTTP/1.1 and HTTP/2.
async fn send_everything(site: &Site, methods: &[&str]) {
    let first = PROXIED.iter().flat_map(|door| {
        SPELLINGS.iter().flat_map(move |path| {
            methods.iter().map(move |method| {
                let bytes = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
                (*door, false, bytes.into_bytes())
            })
        })
    });
    let second = HTTP2.iter().flat_map(|door| {
        SPELLINGS.iter().flat_map(move |path| {
            methods.iter().map(move |method| {
                let mut fields = frames::good(HOST, path);
                fields[0].1 = method;
                (*door, true, frames::request(&fields))
            })
        })
    });
    futures::stream::iter(first.chain(second))
        .map(|(door, http2, bytes)| async move {
            let connection = site.connect(door).await;
            if http2 {
                frames::exchange(connection, &bytes).await;
            } else {
                wire::exchange(connection, &bytes).await;
            }
        })
        .buffer_unordered(64)
        .for_each(|()| async {})
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_reaches_a_path_that_is_denied() {
    let site = Site::open(vec![no_admin()]).await;
    let before = site.app.count();
    send_everything(&site, &["GET"]).await;
    let seen = site.app.seen();
    for request in &seen {
        assert!(
            !means_admin(&request.uri().to_string()),
            "{}",
            request.uri()
        );
    }
    // The control: what is meant otherwise came through, so the judge had something to judge.
    assert!(seen.len() > before + 10);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_allowed_comes_through() {
    let site = Site::open(vec![no_admin(), readers(), echo()]).await;
    send_everything(&site, &["GET"]).await;
    let methods = PROXIED
        .iter()
        .flat_map(|door| METHODS.map(|method| (*door, method)));
    let site = &site;
    futures::future::join_all(methods.map(|(door, method)| async move {
        let bytes = format!("{method} /public/m HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        wire::exchange(site.connect(door).await, bytes.as_bytes()).await;
    }))
    .await;
    for request in site.app.seen() {
        assert_eq!(request.method(), "GET", "{}", request.uri());
        assert!(
            request.uri().path().starts_with("/public/"),
            "{}",
            request.uri()
        );
        assert!(
            !means_admin(&request.uri().to_string()),
            "{}",
            request.uri()
        );
    }
    assert_eq!(site.unharmed().await, Ok(()));
}

/// Ways to say another path or method than the one that is judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_on_a_connection_is_judged_like_the_first() {
    let site = &Site::open(vec![no_admin(), readers(), echo()]).await;
    let good = format!("GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n");
    let bad = format!("GET /admin/y HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let h2c = "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let length = bad.len();
    let attacks = [
        ("pipelined", format!("{good}\r\n{bad}")),
        (
            "after an upgrade that nobody takes",
            format!("{good}{upgrade}\r\n{bad}"),
        ),
        (
            "after an upgrade to HTTP/2",
            format!("{good}{h2c}\r\n{bad}"),
        ),
        (
            "after a prior-knowledge preface in an upgrade",
            format!("{good}{h2c}\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{bad}"),
        ),
        (
            "as a body",
            format!("{good}Content-Length: {length}\r\n\r\n{bad}"),
        ),
        (
            "after a body of no bytes",
            format!("{good}Content-Length: 0\r\n\r\n{bad}"),
        ),
        (
            "after an empty chunked body",
            format!("{good}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{bad}"),
        ),
        (
            "with two lengths",
            format!("{good}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n{bad}"),
        ),
        (
            "behind a refused CONNECT",
            format!("CONNECT {HOST} HTTP/1.1\r\nHost: {HOST}\r\n\r\n{bad}"),
        ),
        (
            "in a folded line",
            format!("GET /public/x HTTP/1.1\r\nHost: {HOST}\r\nX: y\r\n {bad}"),
        ),
    ];
    let all = PROXIED
        .iter()
        .flat_map(|door| attacks.iter().map(move |attack| (*door, attack)));
    futures::future::join_all(all.map(|(door, (what, bytes))| async move {
        wire::exchange(site.connect(door).await, bytes.as_bytes()).await;
        for request in site.app.seen() {
            let path = request.uri().path();
            assert!(!path.starts_with("/admin"), "{door:?}, about {what}");
        }
    }))
    .await;
    assert_eq!(site.unharmed().await, Ok(()));
}

/// Mesh TLS of a TCP kind, to a port that is declared HTTP and has rules on HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_in_a_connection_declared_tcp_is_refused() {
    let site = Site::open(vec![no_admin(), readers(), echo()]).await;
    let api = spiffe("shop", "api");
    let stream = peer::connect(
        site.client_identity(),
        site.address(Door::MeshHttp1),
        &api,
        MeshAlpn::Tcp,
    );
    let connection = Box::new(stream.await.unwrap());
    let answer = wire::exchange(connection, &wire::get(HOST, "/admin")).await;
    assert!(answer.closed && answer.statuses.is_empty(), "{answer:?}");
    assert!(
        !site
            .app
            .seen()
            .iter()
            .any(|request| request.uri().path() == "/admin")
    );
    assert_eq!(site.unharmed().await, Ok(()));
}

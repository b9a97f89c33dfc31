use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};
use weft_engine::documents::{OutlierDetection, Protocol};

use crate::{
    site::{BOUND, HTTP1, PROXIED, Site, nothing_wrong},
    web::{App, Client, HOST, Shop},
    wire::{self, Case, everywhere, refused_everywhere},
};

/// A POST with these lines in its head, and this body.
fn post(host: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("POST /public/x HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n{body}").into_bytes()
}

fn chunked(host: &str, body: &str) -> Vec<u8> {
    post(host, "Transfer-Encoding: chunked\r\n", body)
}

/// What an attacker would like to have served on its own.
fn hidden(host: &str) -> String {
    format!("GET /admin/hidden HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// No request that an attack hid has reached the application on its own.
fn nothing_hidden_was_served(site: &Site) {
    for request in site.app.seen() {
        let path = request.uri().path();
        assert!(!path.contains("hidden"), "{path} came through");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_with_two_readings_are_refused_and_hide_nothing() {
    const BODY: &str = "5\r\nhello\r\n0\r\n\r\n";
    let cases: &[Case] = &[
        ("length, then encoding", |host| {
            let body = format!("0\r\n\r\n{}", hidden(host));
            let lines = format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                body.len()
            );
            post(host, &lines, &body)
        }),
        ("encoding, then length", |host| {
            let lines = "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n";
            post(host, lines, &format!("0\r\n\r\n{}", hidden(host)))
        }),
        ("encoding, and length 0", |host| {
            let lines = "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n";
            post(host, lines, &format!("0\r\n\r\n{}", hidden(host)))
        }),
        ("two different lengths", |host| {
            let lines = "Content-Length: 0\r\nContent-Length: 40\r\n";
            post(host, lines, &hidden(host))
        }),
        ("a list of lengths", |host| {
            post(host, "Content-Length: 0, 40\r\n", &hidden(host))
        }),
        ("a length with a sign", |host| {
            post(host, "Content-Length: +5\r\n", "hello")
        }),
        ("a negative length", |host| {
            post(host, "Content-Length: -5\r\n", "hello")
        }),
        ("a length in hex", |host| {
            post(host, "Content-Length: 0x5\r\n", "hello")
        }),
        ("a length with a fraction", |host| {
            post(host, "Content-Length: 5.0\r\n", "hello")
        }),
        ("a length of no digits", |host| {
            post(host, "Content-Length:\r\n", "hello")
        }),
        ("a length with a space inside", |host| {
            post(host, "Content-Length: 5 0\r\n", "hello")
        }),
        ("a length beyond 64 bits", |host| {
            post(host, "Content-Length: 99999999999999999999999\r\n", "hello")
        }),
        ("a length of 2^64", |host| {
            post(host, "Content-Length: 18446744073709551616\r\n", "hello")
        }),
        ("an unknown encoding", |host| {
            post(host, "Transfer-Encoding: xchunked\r\n", BODY)
        }),
        ("identity after chunked", |host| {
            post(host, "Transfer-Encoding: chunked, identity\r\n", BODY)
        }),
        ("identity alone", |host| {
            post(host, "Transfer-Encoding: identity\r\n", BODY)
        }),
        ("an encoding in quotes", |host| {
            post(host, "Transfer-Encoding: \"chunked\"\r\n", BODY)
        }),
        ("an encoding after a vertical tab", |host| {
            post(host, "Transfer-Encoding: \x0bchunked\r\n", BODY)
        }),
        ("a folded encoding", |host| {
            post(host, "Transfer-Encoding:\r\n chunked\r\n", BODY)
        }),
        ("a space before the colon", |host| {
            post(
                host,
                "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n",
                BODY,
            )
        }),
        ("an encoding behind a bare LF", |host| {
            post(
                host,
                "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                BODY,
            )
        }),
        ("an encoding behind a bare CR", |host| {
            post(
                host,
                "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                BODY,
            )
        }),
        ("an encoding in HTTP/1.0", |host| {
            format!(
                "POST /public/x HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}"
            )
            .into_bytes()
        }),
    ];
    let site = Site::open(Vec::new()).await;
    nothing_wrong(refused_everywhere(&site, &HTTP1, cases).await);
    nothing_hidden_was_served(&site);
    // These two only the mesh refuses: metrics and admin pass nothing on that could disagree.
    let cases: &[Case] = &[
        ("an encoding before chunked", |host| {
            post(host, "Transfer-Encoding: gzip, chunked\r\n", BODY)
        }),
        ("chunked twice", |host| {
            let lines = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
            post(host, lines, BODY)
        }),
    ];
    nothing_wrong(refused_everywhere(&site, &PROXIED, cases).await);
    assert_eq!(site.unharmed().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_that_are_none_are_refused_and_hide_nothing() {
    let cases: &[Case] = &[
        ("a size of letters", |host| {
            chunked(host, "zz\r\nhello\r\n0\r\n\r\n")
        }),
        ("a size of 17 digits", |host| {
            chunked(host, "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n")
        }),
        ("a size that wraps to 0", |host| {
            chunked(host, &format!("10000000000000000\r\n\r\n{}", hidden(host)))
        }),
        ("a negative size", |host| {
            chunked(host, "-5\r\nhello\r\n0\r\n\r\n")
        }),
        ("a size with a sign", |host| {
            chunked(host, "+5\r\nhello\r\n0\r\n\r\n")
        }),
        ("a size with 0x", |host| {
            chunked(host, "0x5\r\nhello\r\n0\r\n\r\n")
        }),
        ("no size", |host| chunked(host, "\r\nhello\r\n0\r\n\r\n")),
        ("no line end after the data", |host| {
            chunked(host, "5\r\nhelloXX0\r\n\r\n")
        }),
        ("more data than said", |host| {
            chunked(host, "3\r\nhello\r\n0\r\n\r\n")
        }),
        ("a bare LF after the size", |host| {
            chunked(host, &format!("0\n\n{}", hidden(host)))
        }),
        ("a bare CR after the size", |host| {
            chunked(host, &format!("0\r\r{}", hidden(host)))
        }),
        ("a bare LF in an extension", |host| {
            chunked(host, &format!("0;x\n\r\n\r\n{}", hidden(host)))
        }),
        ("a NUL after the size", |host| {
            chunked(host, "5\0\r\nhello\r\n0\r\n\r\n")
        }),
        ("an extension of 1 MB", |host| {
            let extension = "x".repeat(1 << 20);
            chunked(host, &format!("5;{extension}\r\nhello\r\n0\r\n\r\n"))
        }),
        ("10,000 extensions of 100 bytes", |host| {
            let chunk = format!("1;{}\r\nx\r\n", "y".repeat(100));
            chunked(host, &chunk.repeat(10_000))
        }),
        ("trailers of 1 MB", |host| {
            chunked(host, &format!("0\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)))
        }),
        ("10,000 trailers", |host| {
            chunked(host, &format!("0\r\n{}\r\n", "X: y\r\n".repeat(10_000)))
        }),
        ("a trailer with NUL", |host| {
            chunked(host, "0\r\nX: a\0b\r\n\r\n")
        }),
    ];
    let site = Site::open(Vec::new()).await;
    nothing_wrong(refused_everywhere(&site, &HTTP1, cases).await);
    nothing_hidden_was_served(&site);
    assert_eq!(site.unharmed().await, Ok(()));
}

/// What is well framed is one request: its body stays a body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_a_body_stays_a_body() {
    let cases: &[Case] = &[
        ("in a body of known length", |host| {
            let body = hidden(host);
            post(host, &format!("Content-Length: {}\r\n", body.len()), &body)
        }),
        ("in a chunk", |host| {
            let body = hidden(host);
            chunked(host, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
        }),
        ("in the body of a GET", |host| {
            let body = hidden(host);
            let length = body.len();
            format!(
                "GET /public/x HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        }),
        ("behind an expectation", |host| {
            let body = hidden(host);
            let lines = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
            post(host, &lines, &body)
        }),
        (
            "in a body that the Connection field would take the length of",
            |host| {
                let body = hidden(host);
                let lines = format!(
                    "Connection: content-length\r\nContent-Length: {}\r\n",
                    body.len()
                );
                post(host, &lines, &body)
            },
        ),
        ("in a body with an upgrade to HTTP/2", |host| {
            let body = hidden(host);
            let lines = format!(
                "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: {}\r\n",
                body.len()
            );
            post(host, &lines, &body)
        }),
        ("in the body of a refused request", |host| {
            let body = hidden(host);
            let length = body.len();
            format!("POST /%00 HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
                .into_bytes()
        }),
        ("behind a chunk's extension", |host| {
            let body = hidden(host);
            chunked(
                host,
                &format!("{:x};a=b\r\n{body}\r\n0\r\nX: y\r\n\r\n", body.len()),
            )
        }),
    ];
    let site = Site::open(Vec::new()).await;
    let one_answer = |answer: &crate::wire::Answer| {
        let last: Vec<_> = answer
            .statuses
            .iter()
            .filter(|status| **status != 100)
            .collect();
        last.len() <= 1 && last.iter().all(|status| **status < 500)
    };
    nothing_wrong(everywhere(&site, &PROXIED, cases, one_answer).await);
    nothing_hidden_was_served(&site);
    let bodies = site.app.seen();
    let whole = bodies.iter().filter(|request| {
        request
            .body()
            .starts_with(b"GET /admin/hidden HTTP/1.1\r\n")
            && request.body().ends_with(b"\r\n\r\n")
    });
    assert!(whole.count() >= 6 * PROXIED.len(), "bodies come whole");
    assert_eq!(site.unharmed().await, Ok(()));
}

/// However the bytes are cut: a parser that had the beginning before sees the refusal too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_in_pieces_is_refused_like_a_whole_one() {
    let site = &Site::open(Vec::new()).await;
    let tries = PROXIED
        .iter()
        .flat_map(|door| [1, 7, 40].map(|size| (*door, size)));
    let wrong = futures::future::join_all(tries.map(|(door, size)| async move {
        let lines = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
        let bytes = post(Site::host(door), lines, "");
        let mut connection = site.connect(door).await;
        for piece in bytes.chunks(size) {
            connection.write_all(piece).await.unwrap();
            connection.flush().await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
        let mut back = Vec::new();
        let read = timeout(BOUND, connection.read_to_end(&mut back)).await;
        let refused = read.is_ok() && back.starts_with(b"HTTP/1.1 400 ");
        (!refused).then(|| {
            format!(
                "{door:?} in pieces of {size}: {:?}",
                String::from_utf8_lossy(&back)
            )
        })
    }))
    .await;
    nothing_wrong(wrong.into_iter().flatten().collect());
    assert_eq!(site.unharmed().await, Ok(()));
}

/// What a client does to its own request is not held against the endpoint, or any client could
/// take a service away from all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_has_an_endpoint_ejected() {
    let shop = Shop::open(2, Protocol::Http, |port| {
        port.policy.outlier_detection = Some(OutlierDetection {
            consecutive_5xx: 2,
            consecutive_gateway_errors: 2,
            max_ejection_percent: 100,
            ..OutlierDetection::default()
        });
    })
    .await;
    let _one = App::named(shop.instances[0].app, "v1").await;
    let _two = App::named(shop.instances[1].app, "v2").await;
    let dial = async || {
        Box::new(
            tokio::net::TcpStream::connect(shop.client.outbound)
                .await
                .unwrap(),
        )
    };
    for _ in 0..10 {
        let bad = chunked(HOST, "zz\r\n");
        let answer = wire::exchange(dial().await, &bad).await;
        assert_eq!(answer.statuses, [400], "{}", answer.text());
        // Broken off by leaving.
        let mut connection = dial().await;
        let half = post(HOST, "Content-Length: 100\r\n", "half");
        connection.write_all(&half).await.unwrap();
        sleep(Duration::from_millis(5)).await;
        drop(connection);
        // And in HTTP/2, with more than was said.
        let mut fields = crate::frames::good(HOST, "/");
        fields[0].1 = "POST";
        fields.push(("content-length", "2"));
        let bytes = crate::frames::request_with_body(&fields, b"more");
        crate::frames::exchange(dial().await, &bytes).await;
    }
    let started = shop
        .client
        .metric("weft_outlier_ejections_started_total", &[]);
    assert_eq!(started.await, 0.0);
    let mut client = Client::http1(shop.client.outbound).await;
    for _ in 0..10 {
        assert_eq!(client.get(HOST, "/").await.status, 200);
    }
}

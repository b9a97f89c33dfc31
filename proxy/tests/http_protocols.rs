//! What is spoken on either side of two proxies.

mod mesh;
mod web;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use weft_engine::documents::Protocol;

use web::{App, BOUND, HOST, Shop, empty, frames, full, text};

/// Reads up to and including the blank line.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_websocket_passes_through_two_proxies() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let listener = TcpListener::bind(shop.instances[0].app).await.unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        // The server speaks right after its 101, in the same write.
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello",
            )
            .await
            .unwrap();
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).await.unwrap();
        stream.write_all(&echoed).await.unwrap();
        stream.shutdown().await.unwrap();
        head
    });
    let mut client = TcpStream::connect(shop.client.outbound).await.unwrap();
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let exchange = async {
        let head = read_head(&mut client).await;
        // Bytes that would be a smuggled request, were this still HTTP.
        let payload = "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(payload.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut back = String::new();
        client.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, format!("hello{payload}"));
        (head, back.len())
    };
    let (head, received) = timeout(BOUND, exchange).await.expect("within the bound");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.to_ascii_lowercase().contains("upgrade: websocket"));
    let seen = timeout(BOUND, server).await.unwrap().unwrap();
    let seen = seen.to_ascii_lowercase();
    assert!(seen.contains("sec-websocket-key: k"), "{seen}");
    assert!(seen.contains("x-forwarded-client-cert"), "{seen}");
    let line = shop
        .client
        .logged("the upgraded connection", |line| line["status"] == 101)
        .await;
    assert_eq!(line["response_bytes"], received);
}

#[tokio::test]
async fn a_grpc_call_keeps_its_trailers() {
    let shop = Shop::open(1, Protocol::Grpc, |_| {}).await;
    let app = App::start(shop.instances[0].app, |request| async move {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("grpc-message", "fine".parse().unwrap());
        let mut response = text(200, "").map(|_| {
            frames(vec![
                Frame::data(request.into_body()),
                Frame::data(Bytes::from_static(b"!")),
                Frame::trailers(trailers),
            ])
        });
        let headers = response.headers_mut();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        response
    })
    .await;
    let mut client = shop.http2().await;
    let request = client
        .request(HOST, "/shop.Reviews/Get")
        .method("POST")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(full("\0\0\0\0\u{5}hello"))
        .unwrap();
    let got = client.send(request).await.unwrap();
    assert_eq!(got.status, 200);
    assert_eq!(got.body, "\0\0\0\0\u{5}hello!");
    let trailers = got.trailers.expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["grpc-message"], "fine");
    let seen = &app.seen()[0];
    assert_eq!(seen.version(), Version::HTTP_2);
    assert_eq!(seen.headers()["te"], "trailers");
    assert_eq!(seen.uri().authority().unwrap(), HOST);
    let line = shop
        .client
        .logged("the call", |line| line["protocol"] == "grpc")
        .await;
    assert_eq!(
        (&line["status"], &line["grpc_status"]),
        (&200.into(), &0.into())
    );
}

#[tokio::test]
async fn a_grpc_call_without_a_server_is_unavailable() {
    let shop = Shop::open(1, Protocol::Grpc, |_| {}).await;
    let mut client = shop.http2().await;
    let request = client
        .request(HOST, "/shop.Reviews/Get")
        .method("POST")
        .header("content-type", "application/grpc+proto")
        .body(empty())
        .unwrap();
    let got = client.send(request).await.unwrap();
    assert_eq!((got.status, got.header("grpc-status")), (200, "14"));
    assert_eq!(got.header("x-weft-flag"), "upstream_connect_failure");
}

#[tokio::test]
async fn http2_clients_reach_http1_servers_and_the_other_way() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let app = App::start(shop.instances[0].app, |request| async move {
        text(200, &format!("{:?}", request.version()))
    })
    .await;
    let mut client = shop.http2().await;
    let request = client
        .request(HOST, "/")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(empty())
        .unwrap();
    let got = client.send(request).await.unwrap();
    assert_eq!((got.status, got.body.as_str()), (200, "HTTP/1.1"));
    assert_eq!(app.seen()[0].headers()["cookie"], "a=1; b=2");
    assert_eq!(app.seen()[0].headers()["host"], HOST);
    assert_eq!(shop.http1().await.get(HOST, "/").await.body, "HTTP/1.1");

    let shop = Shop::open(1, Protocol::Http2, |_| {}).await;
    let _app = App::start(shop.instances[0].app, |request| async move {
        text(200, &format!("{:?}", request.version()))
    })
    .await;
    assert_eq!(shop.http1().await.get(HOST, "/").await.body, "HTTP/2.0");
    assert_eq!(shop.http2().await.get(HOST, "/").await.body, "HTTP/2.0");
}

#[tokio::test]
async fn responses_without_a_body_end_and_the_connection_goes_on() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let _app = App::start(shop.instances[0].app, |request| async move {
        match request.uri().path() {
            "/204" => text(204, ""),
            "/304" => text(304, ""),
            _ => text(200, "hello"),
        }
    })
    .await;
    let mut client = shop.http1().await;
    for _ in 0..3 {
        let request = client.request(HOST, "/").method("HEAD");
        let head = client.send(request.body(empty()).unwrap()).await.unwrap();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), "5");
        assert_eq!(client.get(HOST, "/204").await.status, 204);
        assert_eq!(client.get(HOST, "/304").await.status, 304);
        assert_eq!(client.get(HOST, "/").await.body, "hello");
    }
    let lines = shop.client.access_log();
    let flags: Vec<_> = lines
        .iter()
        .filter(|line| line["flag"].is_string())
        .collect();
    assert!(flags.is_empty(), "{flags:?}");
}

#[tokio::test]
async fn bodies_are_streamed_and_not_collected() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Frame<Bytes>>(1);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let _app = App::start(shop.instances[0].app, move |_| {
        let mut receiver = receiver.lock().unwrap().take().unwrap();
        async move {
            let stream = futures::stream::poll_fn(move |cx| {
                receiver.poll_recv(cx).map(|frame| frame.map(Ok))
            });
            text(200, "").map(|_| http_body_util::StreamBody::new(stream).boxed_unsync())
        }
    })
    .await;
    let web::Client::Http1(mut client) = shop.http1().await else {
        unreachable!()
    };
    let request = Request::get("/")
        .header("host", HOST)
        .body(empty())
        .unwrap();
    let response = timeout(BOUND, client.send_request(request));
    let mut body = response.await.unwrap().unwrap().into_body();
    for n in 0..5u8 {
        // The next chunk is only made once the last one has arrived.
        let chunk = Bytes::from(vec![n; 10]);
        sender.send(Frame::data(chunk.clone())).await.unwrap();
        let frame = timeout(BOUND, body.frame())
            .await
            .expect("the chunk arrives");
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), chunk);
    }
    drop(sender);
    assert!(timeout(BOUND, body.frame()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_expectation_is_answered_and_the_body_follows() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let app = App::named(shop.instances[0].app, "v1").await;
    let mut client = TcpStream::connect(shop.client.outbound).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let exchange = async {
        let interim = read_head(&mut client).await;
        assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
        client.write_all(b"hello").await.unwrap();
        read_head(&mut client).await
    };
    let head = timeout(BOUND, exchange).await.expect("within the bound");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(app.seen()[0].body(), "hello");
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_server() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let _app = App::start(shop.instances[0].app, |_| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        text(200, "late")
    })
    .await;
    let mut client = TcpStream::connect(shop.client.outbound).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    mesh::eventually("the request is under way", || async {
        let active = shop.instances[0].proxy.metric("weft_requests_active", &[]);
        (active.await == 1.0).then_some(())
    })
    .await;
    drop(client);
    mesh::eventually("both proxies let go of it", || async {
        let server = shop.instances[0].proxy.metric("weft_requests_active", &[]);
        let client = shop.client.metric("weft_requests_active", &[]);
        (server.await + client.await == 0.0).then_some(())
    })
    .await;
    let line = shop
        .client
        .logged("the cancelled request", |line| line["method"] == "GET")
        .await;
    assert_eq!(line["flag"], "downstream_reset");
}

//! What a client does not notice: applications that stop before their endpoints are withdrawn.
//! Their proxies outlive them and answer in their stead.

mod mesh;
mod web;

use bytes::Bytes;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use weft_engine::documents::{LoadBalancing, OutlierDetection, Protocol};

use web::{App, Body, Client, Got, HOST, Shop, empty, full, text};

/// Two instances that take turns, of which only the second has an application.
async fn half_gone(protocol: Protocol) -> (Shop, App) {
    let shop = Shop::open(2, protocol, |port| {
        port.policy.load_balancing = Some(LoadBalancing::RoundRobin);
        port.policy.outlier_detection = Some(OutlierDetection {
            consecutive_gateway_errors: 1,
            ..OutlierDetection::default()
        });
    })
    .await;
    let app = App::named(shop.instances[1].app, "alive").await;
    (shop, app)
}

async fn post(client: &mut Client, content_type: &str) -> Got {
    let request = client.request(HOST, "/shop.Reviews/Add").method("POST");
    let request = request.header("content-type", content_type);
    client.send(request.body(full("x")).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_a_stopped_application_never_got_is_served_by_another_pod() {
    let (shop, app) = half_gone(Protocol::Http).await;
    let mut one = shop.http1().await;
    let mut two = shop.http2().await;
    for _ in 0..10 {
        assert_eq!(one.get(HOST, "/").await.body, "alive");
        assert_eq!(two.get(HOST, "/").await.body, "alive");
        assert_eq!(post(&mut one, "text/plain").await.body, "alive");
        assert_eq!(post(&mut two, "application/grpc").await.body, "alive");
    }
    assert_eq!(app.count(), 40);
    assert!(app.seen().iter().filter(|r| r.body() == "x").count() == 20);
}

#[tokio::test]
async fn a_pod_that_took_no_request_is_passed_over_and_not_ejected() {
    let (shop, _app) = half_gone(Protocol::Http).await;
    let mut client = shop.http1().await;
    for _ in 0..200 {
        assert_eq!(client.get(HOST, "/").await.status, 200);
    }
    let retries = shop.client.metric("weft_retries_total", &[]).await;
    assert!((1.0..=10.0).contains(&retries), "{retries} retries");
    let ejected = shop.client.metric("weft_outlier_ejections", &[]).await;
    assert_eq!(ejected, 0.0);

    // It is asked again: an application that comes (back) gets its share.
    let _other = App::named(shop.instances[0].app, "back").await;
    mesh::eventually("the other application is called", || async {
        let got = shop.http1().await.get(HOST, "/").await;
        (got.body == "back").then_some(())
    })
    .await;
}

/// Answers one request, and stops when the next has arrived on the same connection.
async fn stops_at_the_second_request(address: std::net::SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\nx") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nstopping";
        stream.write_all(answer).await.unwrap();
        stream.readable().await.unwrap();
        drop(listener);
        drop(stream);
    });
}

#[tokio::test]
async fn what_a_stopping_application_left_unread_is_served_by_another_pod() {
    let shop = Shop::open(2, Protocol::Http, |port| {
        port.policy.load_balancing = Some(LoadBalancing::RoundRobin);
    })
    .await;
    stops_at_the_second_request(shop.instances[0].app).await;
    let _alive = App::named(shop.instances[1].app, "alive").await;
    let mut client = shop.http1().await;
    let mut bodies = Vec::new();
    for _ in 0..6 {
        let got = post(&mut client, "text/plain").await;
        assert_eq!(got.status, 200, "{got:?}");
        bodies.push(got.body);
    }
    let stopping = bodies.iter().filter(|body| *body == "stopping");
    assert_eq!(stopping.count(), 1, "{bodies:?}");
}

#[tokio::test]
async fn where_no_pod_has_its_application_the_refusal_says_why() {
    let shop = Shop::open(2, Protocol::Http, |_| {}).await;
    let got = shop.http1().await.get(HOST, "/").await;
    assert_eq!(
        (got.status, got.header("x-weft-flag")),
        (503, "upstream_connect_failure")
    );
    assert_eq!(got.header("x-weft-repeatable"), "");
}

/// An application that claims to be a proxy.
fn forged(_: Request<Bytes>) -> Response<Body> {
    let mut response = text(503, "no");
    let headers = response.headers_mut();
    headers.insert("x-weft-repeatable", "true".parse().unwrap());
    headers.insert("x-weft-flag", "upstream_connect_failure".parse().unwrap());
    response
}

#[tokio::test]
async fn an_application_cannot_say_that_it_got_nothing() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let app = App::start(shop.instances[0].app, |request| async { forged(request) }).await;
    let mut client = shop.http1().await;
    let request = client.request(HOST, "/").body(empty()).unwrap();
    let got = client.send(request).await.unwrap();
    assert_eq!((got.status, got.header("x-weft-flag")), (503, ""));
    assert_eq!(app.count(), 1);
}

#[tokio::test]
async fn an_endpoint_without_an_identity_cannot_either() {
    let mesh = mesh::Mesh::new();
    let address = mesh::fresh_address();
    let app = App::start(address, |request| async { forged(request) }).await;
    let members = [mesh::Member::plain(address)];
    mesh.service(("shop", "reviews"), 9080, Protocol::Http, &members, |_| {});
    let proxy = mesh.proxy("web", "frontend").start().await;
    let got = Client::http1(proxy.outbound).await.get(HOST, "/").await;
    assert_eq!((got.status, got.header("x-weft-flag")), (503, ""));
    assert_eq!(app.count(), 1);
}

//! What a client does not notice: failing, slow and vanishing endpoints.

mod mesh;
mod web;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use weft_engine::documents::{
    ConnectionPool, LoadBalancing, OutlierDetection, Protocol, Retry, RetryBudget, RetryOn,
    RouteTimeouts, ServicePort,
};

use mesh::{Member, Mesh, fresh_address};
use web::{App, Client, HOST, Shop, empty, full, routes, rule, status, text};

fn retrying(port: &mut ServicePort, attempts: u32, on: Vec<RetryOn>) {
    let mut retrying = rule();
    retrying.retry = Some(Retry {
        attempts,
        on,
        methods: Vec::new(),
        backoff_base: 1,
        backoff_max: 5,
    });
    routes(port, vec![retrying]);
}

/// Fails every other request, beginning with the first.
async fn flaky(address: std::net::SocketAddr) -> App {
    let count = AtomicUsize::new(0);
    App::start(address, move |_| {
        let fails = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        async move { if fails { status(503) } else { text(200, "ok") } }
    })
    .await
}

#[tokio::test]
async fn a_retry_hides_a_503() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        retrying(port, 2, vec![RetryOn::Status(503)]);
    })
    .await;
    let app = flaky(shop.instances[0].app).await;
    let mut client = shop.http1().await;
    for _ in 0..10 {
        assert_eq!(client.get(HOST, "/").await.status, 200);
    }
    assert_eq!(app.count(), 20);
    let hidden = shop
        .client
        .metric("weft_retries_total", &[r#"result="success""#])
        .await;
    assert_eq!(hidden, 10.0);
}

#[tokio::test]
async fn a_body_is_sent_again_with_its_retry() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        retrying(port, 1, vec![RetryOn::Status(503)]);
    })
    .await;
    let app = flaky(shop.instances[0].app).await;
    let mut client = shop.http1().await;
    let request = client.request(HOST, "/").method("PUT");
    let got = client.send(request.body(full("hello")).unwrap()).await;
    assert_eq!(got.unwrap().status, 200);
    let bodies: Vec<_> = app.seen().into_iter().map(Request::into_body).collect();
    assert_eq!(bodies, ["hello", "hello"]);
}

#[tokio::test]
async fn a_post_is_not_repeated_by_default() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        retrying(port, 2, vec![RetryOn::Status(503), RetryOn::GatewayError]);
    })
    .await;
    let app = App::failing(shop.instances[0].app, 503).await;
    let mut client = shop.http1().await;
    let request = client.request(HOST, "/").method("POST");
    let got = client.send(request.body(full("x")).unwrap()).await.unwrap();
    assert_eq!((got.status, app.count()), (503, 1));
}

#[tokio::test]
async fn the_budget_bounds_the_retries() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        retrying(port, 3, vec![RetryOn::Status(503)]);
        port.policy.retry_budget = RetryBudget {
            percent: 20,
            min_per_second: 0,
        };
    })
    .await;
    let app = App::failing(shop.instances[0].app, 503).await;
    let mut client = shop.http1().await;
    for _ in 0..100 {
        assert_eq!(client.get(HOST, "/").await.status, 503);
    }
    let retries = app.count() - 100;
    assert!((10..=20).contains(&retries), "{retries} retries");
    let exhausted = shop
        .client
        .metric("weft_retries_total", &[r#"result="budget_exhausted""#])
        .await;
    assert!(exhausted > 0.0);
}

#[tokio::test]
async fn a_failing_endpoint_is_ejected_and_the_others_serve() {
    let shop = Shop::open(3, Protocol::Http, |port| {
        port.policy.load_balancing = Some(LoadBalancing::RoundRobin);
        port.policy.outlier_detection = Some(OutlierDetection {
            consecutive_5xx: 3,
            ..OutlierDetection::default()
        });
    })
    .await;
    let _one = App::named(shop.instances[0].app, "v1").await;
    let failing = App::failing(shop.instances[1].app, 500).await;
    let _three = App::named(shop.instances[2].app, "v3").await;
    let mut client = shop.http2().await;
    let mut failures = 0;
    for _ in 0..60 {
        failures += usize::from(client.get(HOST, "/").await.status == 500);
    }
    assert_eq!((failures, failing.count()), (3, 3));
    let ejected = shop.client.metric("weft_outlier_ejections", &[]).await;
    assert_eq!(ejected, 1.0);
}

#[tokio::test]
async fn a_slow_attempt_is_retried_and_a_slow_request_ends_with_504() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        retrying(port, 1, vec![RetryOn::GatewayError]);
        for rule in &mut port.http[0].rules {
            rule.timeouts = RouteTimeouts {
                request: Some(1_500),
                backend_request: Some(300),
                idle: None,
            };
        }
    })
    .await;
    let count = AtomicUsize::new(0);
    let _app = App::start(shop.instances[0].app, move |request| {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        let slow = first || request.uri() == "/slow";
        async move {
            if slow {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            text(200, "ok")
        }
    })
    .await;
    let mut client = shop.http1().await;
    assert_eq!(client.get(HOST, "/").await.status, 200);
    let begin = Instant::now();
    let got = client.get(HOST, "/slow").await;
    assert_eq!(
        (got.status, got.header("x-weft-flag")),
        (504, "timeout_backend")
    );
    assert!(begin.elapsed() < Duration::from_secs(5));

    shop.publish(|port| {
        let mut limited = rule();
        limited.timeouts.request = Some(200);
        routes(port, vec![limited]);
    });
    mesh::eventually("the request's time-out", || async {
        let mut client = shop.http1().await;
        let got = client.get(HOST, "/slow").await;
        (got.header("x-weft-flag") == "timeout_request" && got.status == 504).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_endpoints_the_answer_is_503_and_says_so() {
    let shop = Shop::open(0, Protocol::Http, |_| {}).await;
    let got = shop.http1().await.get(HOST, "/").await;
    assert_eq!(
        (got.status, got.header("x-weft-flag")),
        (503, "no_healthy_endpoint")
    );
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_passed_over() {
    let mesh = Mesh::new();
    let (alive, gone) = (fresh_address(), fresh_address());
    let _app = App::named(alive, "alive").await;
    let members = [Member::plain(gone), Member::plain(alive)];
    mesh.service(
        ("shop", "reviews"),
        9080,
        Protocol::Http,
        &members,
        |port| {
            port.policy.load_balancing = Some(LoadBalancing::RoundRobin);
        },
    );
    let proxy = mesh.proxy("web", "frontend").start().await;
    let mut client = Client::http1(proxy.outbound).await;
    for _ in 0..10 {
        // A POST as well: nothing was sent to the endpoint that is gone.
        let request = client.request(HOST, "/").method("POST");
        let got = client.send(request.body(full("x")).unwrap()).await.unwrap();
        assert_eq!((got.status, got.body.as_str()), (200, "alive"));
    }
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_is_no_failure() {
    let mesh = Mesh::new();
    let address = fresh_address();
    // Says keep-alive and closes after every response all the same.
    let listener = TcpListener::bind(address).await.unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                if matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await;
                    // Long enough for the connection to go back to the pool, and for the next
                    // request to race with the close.
                    let _ = stream.read(&mut buffer).await;
                }
            });
        }
    });
    let members = [Member::plain(address)];
    mesh.service(("shop", "reviews"), 9080, Protocol::Http, &members, |_| {});
    let proxy = mesh.proxy("web", "frontend").workers(1).start().await;
    let mut client = Client::http1(proxy.outbound).await;
    for n in 0..10 {
        assert_eq!(client.get(HOST, "/").await.status, 200, "request {n}");
    }
    assert!(connections.load(Ordering::Relaxed) >= 10);
}

#[tokio::test]
async fn connections_are_reused_and_a_full_pool_is_an_overflow() {
    let mesh = Mesh::new();
    let address = fresh_address();
    let app = App::start(address, |request| async move {
        if request.uri() == "/slow" {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        text(200, "ok")
    })
    .await;
    let members = [Member::plain(address)];
    mesh.service(
        ("shop", "reviews"),
        9080,
        Protocol::Http,
        &members,
        |port| {
            port.policy.connection_pool = ConnectionPool {
                max_connections: 1,
                max_pending_requests: 1,
                connect_timeout: 500,
                ..ConnectionPool::default()
            };
        },
    );
    let proxy = mesh.proxy("web", "frontend").workers(1).start().await;
    let mut client = Client::http1(proxy.outbound).await;
    for _ in 0..20 {
        assert_eq!(client.get(HOST, "/").await.status, 200);
    }
    assert_eq!(app.connections(), 1);

    let calls: Vec<_> = (0..3)
        .map(|_| {
            let outbound = proxy.outbound;
            tokio::spawn(async move {
                let mut client = Client::http1(outbound).await;
                let got = client.get(HOST, "/slow").await;
                (got.status, got.header("x-weft-flag").to_owned())
            })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        match call.await.unwrap() {
            (200, _) => served += 1,
            (status, flag) => assert_eq!((status, flag.as_str()), (503, "overflow")),
        }
    }
    assert_eq!(served, 1);
    assert_eq!(app.connections(), 1);
    let _ = empty();
}

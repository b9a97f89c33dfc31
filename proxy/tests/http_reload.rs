//! Changes under load: none costs a request.

mod mesh;
mod web;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use weft_engine::documents::{HttpAction, Protocol};

use mesh::{Member, eventually};
use web::{App, Client, HOST, Shop, empty, routes, rule, text, version};

/// Requests one after the other until told to stop; counts what did not get 200.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(outbound: std::net::SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicUsize::new(0));
        let tasks = [true, true, false, false].map(|http2| {
            let (stop, served) = (stop.clone(), served.clone());
            tokio::spawn(async move {
                let mut client = if http2 {
                    Client::http2(outbound).await
                } else {
                    Client::http1(outbound).await
                };
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let request = client.request(HOST, "/").body(empty()).unwrap();
                    match client.send(request).await {
                        Ok(got) if got.status == 200 => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        other => failures.push(format!("{other:?}")),
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                failures
            })
        });
        Self {
            stop,
            served,
            tasks: tasks.into(),
        }
    }

    /// Waits for so many more requests.
    async fn go_on(&self, requests: usize) {
        let until = self.served.load(Ordering::Relaxed) + requests;
        eventually("the load goes on", || async {
            (self.served.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            assert_eq!(task.await.unwrap(), Vec::<String>::new());
        }
        self.served.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_changes_of_routes_lose_nothing() {
    let shop = Shop::open(2, Protocol::Http, |_| {}).await;
    let _apps = [
        App::named(shop.instances[0].app, "v1").await,
        App::named(shop.instances[1].app, "v2").await,
    ];
    assert_eq!(shop.http1().await.get(HOST, "/").await.status, 200);
    let load = Load::start(shop.client.outbound);
    for n in 0..50 {
        shop.publish(|port| {
            let mut split = rule();
            let first = if n % 2 == 0 { 90 } else { 10 };
            split.action =
                HttpAction::Forward(vec![version("v1", first), version("v2", 100 - first)]);
            if n % 5 > 0 {
                routes(port, vec![split]);
            }
        });
        load.go_on(10).await;
    }
    let served = load.end().await;
    assert!(served >= 500, "{served} requests");
    let reloads = shop
        .client
        .metric("weft_config_reloads_total", &[r#"result="loaded""#])
        .await;
    assert!(reloads >= 50.0, "{reloads} reloads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_come_and_go_lose_nothing() {
    let shop = Shop::open(3, Protocol::Http, |_| {}).await;
    for instance in &shop.instances {
        App::start(instance.app, |_| async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            text(200, "ok")
        })
        .await;
    }
    let members: Vec<_> = shop
        .instances
        .iter()
        .map(|instance| Member::meshed(instance.pod, "reviews"))
        .collect();
    assert_eq!(shop.http1().await.get(HOST, "/").await.status, 200);
    let load = Load::start(shop.client.outbound);
    for n in 0..30 {
        let gone = n % members.len();
        let left: Vec<_> = members
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != gone)
            .map(|(_, member)| member.clone())
            .collect();
        shop.mesh.endpoints(("shop", "reviews"), 9080, &left);
        load.go_on(10).await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_server_loses_nothing() {
    let mut shop = Shop::open(2, Protocol::Http, |_| {}).await;
    for instance in &shop.instances {
        App::start(instance.app, |_| async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            text(200, "ok")
        })
        .await;
    }
    assert_eq!(shop.http1().await.get(HOST, "/").await.status, 200);
    let load = Load::start(shop.client.outbound);
    load.go_on(50).await;
    // As in a cluster, the endpoint leaves the list and the pod is told to end at once.
    let staying = [Member::meshed(shop.instances[1].pod, "reviews")];
    shop.instances[0].proxy.terminate();
    shop.mesh.endpoints(("shop", "reviews"), 9080, &staying);
    let status = shop.instances[0].proxy.ended().await;
    assert!(status.success(), "{status}");
    load.go_on(50).await;
    load.end().await;
}

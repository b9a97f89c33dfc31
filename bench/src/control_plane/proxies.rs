use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{sleep, sleep_until, timeout},
};
use weft_proxy::{
    bootstrap::Bootstrap,
    config::{ApiFeed, ApiServer, ConfigStore, Keeper, LastGood},
    observe::Metrics,
};

use super::{
    measured::{Proxies, Spread},
    mesh::weft,
    route_changes::change,
    stage::{CONFIG, Stage},
};
use crate::{
    BenchError, cpu,
    footprint::resident_kib,
    manifests::{name, namespace},
};

/// Services that each calls: the one that changes, and others.
const CALLED: usize = 3;

/// Changes that all of them must have.
const CHANGES: usize = 20;

/// Between two changes.
const EVERY: Duration = Duration::from_secs(1);

/// How long the API server is watched while nothing changes.
const IDLE: Duration = Duration::from_secs(5);

/// Everything that is waited for comes within this.
const BOUND: Duration = Duration::from_secs(60);

/// One of them: what a proxy's process follows documents with, on a connection of its own.
struct Simulated {
    keeper: AbortHandle,
    store: ConfigStore,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Starts `count`, and changes the route of a service that all of them call.
pub(super) async fn measure(
    stage: &Stage,
    services: usize,
    count: usize,
) -> Result<Proxies, BenchError> {
    allow_files(count);
    let token = stage.token(&namespace(0)).await?;
    let bootstrap = Bootstrap::parse_from([
        "weft-proxy".to_owned(),
        format!("--namespace={}", namespace(0)),
        "--config-api".to_owned(),
        format!("--api-server={}", stage.url()),
        format!("--api-token-file={}", token.display()),
        format!("--api-ca-file={}", stage.path("ca.crt").display()),
    ]);
    let server = ApiServer::find(&bootstrap).map_err(BenchError::api("a proxy"))?;
    let api_server = stage.api_server();
    let alone = idle(api_server).await;
    let before_kib = resident_kib(api_server);
    let (used, began) = (cpu::exact(api_server), Instant::now());
    let all: Vec<Arc<Simulated>> = stream::iter(0..count)
        .map(|number| start(&bootstrap, server.clone(), number, services))
        .buffer_unordered(32)
        .try_collect()
        .await?;
    let started = began.elapsed();
    let start_cpu = cpu::exact(api_server) - used;

    let (heard, mut news) = mpsc::channel(count * 2);
    for proxy in &all {
        tokio::spawn(tell(proxy.store.clone(), heard.clone()));
    }
    sleep(IDLE).await;
    let followed = idle(api_server).await;

    let path = format!("{}/{}", weft(&namespace(0), "virtualroutes"), name(0));
    let mut taken = Vec::with_capacity(count * CHANGES);
    let (used, from) = (cpu::exact(api_server), Instant::now());
    for number in 0..CHANGES {
        while news.try_recv().is_ok() {}
        let began = Instant::now();
        change(stage, &path, &format!("of all {number:05}")).await?;
        for _ in 0..count {
            let at: Instant = match timeout(BOUND, news.recv()).await {
                Ok(Some(at)) => at,
                _ => {
                    return Err(BenchError::api("proxies")(
                        "not all have a change in a minute",
                    ));
                }
            };
            taken.push(at - began);
        }
        sleep_until((began + EVERY).into()).await;
    }
    let change_cpu = (cpu::exact(api_server) - used).as_secs_f64() / from.elapsed().as_secs_f64();
    Ok(Proxies {
        count,
        watches: count * all.first().map_or(0, |proxy| proxy.store.active().len()),
        start_seconds: started.as_secs_f64(),
        start_cpu_seconds: start_cpu.as_secs_f64(),
        api_server_kib: resident_kib(api_server).saturating_sub(before_kib),
        idle_cpu: (alone, followed),
        change_cpu,
        convergence: Spread::of(taken),
    })
}

/// The share of a core that a process uses now.
async fn idle(pid: u32) -> f64 {
    let used = cpu::exact(pid);
    sleep(IDLE).await;
    (cpu::exact(pid) - used).as_secs_f64() / IDLE.as_secs_f64()
}

/// Starts one, and loads what it calls.
async fn start(
    bootstrap: &Bootstrap,
    server: ApiServer,
    number: usize,
    services: usize,
) -> Result<Arc<Simulated>, BenchError> {
    let (keeper, store) = Keeper::new(
        ApiFeed::new(server, CONFIG),
        LastGood::default(),
        bootstrap.workload(),
        None,
        Metrics::default().recorder(),
    );
    let keeper = tokio::spawn(keeper.run()).abort_handle();
    let proxy = Simulated { keeper, store };
    for call in 0..CALLED {
        // Spread, but for the first.
        let index = call * (1 + number * 7) % services;
        let (namespace, name) = (namespace(index), name(index));
        let began = Instant::now();
        while proxy.store.service(&namespace, &name).await.is_none() {
            if began.elapsed() > BOUND {
                let missing = format!("{namespace}/{name} is not loaded within a minute");
                return Err(BenchError::api("a proxy")(missing));
            }
        }
    }
    let mut changes = proxy.store.changes();
    while !proxy.store.is_complete() {
        if timeout(BOUND, changes.changed()).await.is_err() {
            return Err(BenchError::api("a proxy")(
                "is not complete within a minute",
            ));
        }
    }
    Ok(Arc::new(proxy))
}

/// Says when the first service's view is a new one.
async fn tell(store: ConfigStore, heard: mpsc::Sender<Instant>) {
    let (namespace, name) = (namespace(0), name(0));
    let generation = || {
        let view = store.get(&namespace, &name);
        view.map(|view| view.generation)
    };
    let mut changes = store.changes();
    let mut known = generation();
    while changes.changed().await.is_ok() {
        let now = generation();
        if now != known {
            known = now;
            if heard.send(Instant::now()).await.is_err() {
                return;
            }
        }
    }
}

/// A connection each, and what else is open.
fn allow_files(count: usize) {
    let wanted = count as u64 * 2 + 512;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        // Where even the hard limit is lower, the connection that fails says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}

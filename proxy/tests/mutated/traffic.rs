use std::net::IpAddr;

use fastrand::Rng;
use http::{HeaderMap, HeaderValue};
use weft_engine::decide::{HttpFacts, Peer, Scope, decide_http, decide_tcp};
use weft_proxy::config::ConfigStore;

/// Decides a few requests and connections by everything that is in use. What comes of them is the
/// engine's own tests' matter; here it only must come.
pub(crate) async fn flow(store: &ConfigStore, random: &mut Rng) {
    let mut headers = HeaderMap::new();
    headers.insert("x-group", HeaderValue::from_static("beta"));
    headers.insert("cookie", HeaderValue::from_static("a=b; user=7"));
    let facts = HttpFacts {
        method: "GET",
        authority: "reviews.shop:9080",
        path_and_query: random
            .choice(["/", "/reviews/7?lang=de", "/a/b/c", "/%2e%2e/x", "*"])
            .unwrap_or("/"),
        headers: &headers,
    };
    let address: IpAddr = [10, 244, 1, 17].into();
    let peer = Peer {
        address,
        identity: None,
        workload: None,
    };
    let decide = |scope: Scope<'_>, port: u16| {
        let decision = decide_http(scope, &facts, &peer, &mut ());
        let _ = decision.forwarded_path();
        drop(decide_tcp(scope, (address, port), &peer, &mut ()));
    };
    if let Some(view) = store.get("shop", "reviews") {
        for port in &view.compiled.ports {
            decide(Scope::Outbound(port), port.port);
            let _ = view.endpoints(port.port).len();
        }
    }
    if let Some(inbound) = store.inbound() {
        for port in [9080, 9090] {
            decide(Scope::Inbound(&inbound, port), port);
            let _ = (inbound.mtls(port), inbound.service(port));
        }
    }
    if let Some(gateway) = store.gateway() {
        for listener in &gateway.compiled.listeners {
            decide(Scope::Gateway(listener), 80);
        }
    }
    let _ = store.service_at([10, 96, 0, 7].into()).await;
    for port in [5432, 8080, 9090, 1] {
        let _ = store.pod_at((address, port).into()).await;
    }
}

//! The promise that the request path allocates nothing it need not, held by counting.

#![allow(
    unsafe_code,
    reason = "a counting allocator cannot be written without it"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use http::HeaderMap;
use serde_json::json;
use weft_engine::{
    compile::{CompiledInbound, CompiledService},
    decide::{HttpFacts, Peer, Scope, Verdict, decide_http, decide_tcp, pick_backend},
    documents::{MeshDocument, ServiceDocument},
    identity::{SpiffeId, Workload},
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The cell is gone while a thread ends; what that allocates is nobody's request.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn counting_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8; 32]))) > 0);
}

#[test]
fn an_ordinary_request_is_routed_without_allocating() {
    let rules: Vec<_> = (0..300)
        .map(|n| {
            json!({"id": format!("shop/r/{n}"),
                "matches": [{"path": {"type": "Exact", "value": format!("/exact/{n}")}, "method": "GET"},
                            {"path": {"type": "Prefix", "value": format!("/prefix/{n}")},
                             "headers": [{"name": "x-a", "type": "Exact", "value": "1"}],
                             "queryParams": [{"name": "q", "type": "Exact", "value": "1"}]}],
                "action": {"forward": [{"service": {"namespace": "shop", "name": "web", "port": 80}, "weight": 1}]}})
        })
        .collect();
    let document: ServiceDocument =
        serde_json::from_value(json!({"namespace": "shop", "name": "web",
        "ports": [{"port": 80, "protocol": "Http", "http": [{"rules": rules}]}]}))
        .expect("a service");
    let (service, problems) = CompiledService::compile(&document, "shop");
    assert_eq!(problems, []);
    let scope = Scope::Outbound(service.port(80).expect("the port"));
    let mut headers = HeaderMap::new();
    headers.insert("x-a", "1".parse().expect("a value"));
    let peer = Peer {
        address: [10, 0, 0, 1].into(),
        identity: None,
        workload: None,
    };
    for (target, rule) in [
        ("/exact/299", "shop/r/299"),
        ("/prefix/250/a/b/c?q=1", "shop/r/250"),
    ] {
        let facts = HttpFacts {
            method: "GET",
            authority: "web.shop:80",
            path_and_query: target,
            headers: &headers,
        };
        let count = allocations(|| {
            let decision = decide_http(scope, &facts, &peer, &mut ());
            let won = decision.rule().expect("a rule");
            assert_eq!(&*won.id, rule);
            assert!(pick_backend(won.backends(), 1 << 60).is_some());
            assert_eq!(decision.forwarded_path(), target);
        });
        assert_eq!(count, 0, "{target}");
    }
}

#[test]
fn authorization_allocates_at_most_the_list_of_reasons() {
    let inbound = serde_json::from_value(json!({"namespace": "shop", "authorization": [
        {"id": "shop/deny", "action": "Deny", "rules": [
            {"name": "admin", "to": [{"paths": ["/admin/*", "/{x}/admin"], "hosts": ["*.example.com"]}]}]},
        {"id": "shop/allow", "action": "Allow", "rules": [
            {"name": "reads", "from": [{"serviceAccounts": ["shop/*"], "principals": ["spiffe://*/sa/frontend"]}],
             "to": [{"methods": ["GET"]}]},
            {"name": "tcp", "from": [{"namespaces": ["shop"]}]}]},
    ]}))
    .expect("an inbound document");
    let workload = Workload::default();
    let (inbound, problems) =
        CompiledInbound::compile(&inbound, &MeshDocument::default(), &workload);
    assert_eq!(problems, []);
    let id = SpiffeId::new("cluster.local", "shop", "frontend").expect("an identity");
    let stranger = SpiffeId::new("cluster.local", "other", "x").expect("an identity");
    let headers = HeaderMap::new();
    let facts = HttpFacts {
        method: "GET",
        authority: "web.shop",
        path_and_query: "/x?y",
        headers: &headers,
    };
    for (identity, most) in [(&id, 1), (&stranger, 0)] {
        let peer = Peer {
            address: [10, 0, 0, 1].into(),
            identity: Some(identity),
            workload: None,
        };
        let scope = Scope::Inbound(&inbound, 8080);
        let count = allocations(|| {
            let decision = decide_http(scope, &facts, &peer, &mut ());
            let refused = matches!(decision.verdict, Verdict::Denied(_));
            assert_eq!(refused, most == 0);
        });
        assert!(count <= most, "{count} allocations");
        let count = allocations(|| {
            decide_tcp(scope, ([10, 0, 0, 9].into(), 1), &peer, &mut ());
        });
        assert!(count <= 1, "{count} allocations");
    }
}

use std::time::Duration;

use crate::stage::{BOUND, Stage, eventually, route, service};

#[test]
fn everything_is_written_when_it_says_ready() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    let operator = stage.start();
    let line = operator.ready();
    let documents = std::fs::read_dir(stage.out().join("config"))
        .unwrap()
        .count();
    assert!(
        line.starts_with(&format!(
            "ready documents={documents} objects=10 problems=0"
        )),
        "{line}; {documents} files"
    );
    for name in ["mesh", "service.shop.reviews", "endpoints.shop.ratings"] {
        assert!(stage.document(name).is_some(), "no {name}");
    }
    assert!(stage.says("service.shop.reviews", "first"));
    assert!(stage.says("endpoints.shop.reviews", "10.1.0.1"));
    assert!(stage.says(
        "endpoints.shop.reviews",
        "spiffe://cluster.local/ns/shop/sa/reviews"
    ));
    assert!(stage.says("mesh", "BEGIN CERTIFICATE"));
    assert!(
        stage
            .condition("VirtualRoute.shop.marked", "Ready")
            .starts_with("True"),
        "{:?}",
        stage.status("VirtualRoute.shop.marked")
    );
    for account in ["reviews", "ratings"] {
        let path = stage.out().join("identities/shop").join(account);
        assert!(path.join("tls.crt").exists(), "no identity of {account}");
    }
    let (clean, took) = operator.stop();
    assert!(clean);
    assert!(took < Duration::from_secs(5), "{took:?} after SIGTERM");
}

#[test]
fn an_edit_is_in_the_document_in_under_a_second_and_touches_no_other() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "mark-0"));
    let operator = stage.start();
    operator.ready();
    let mut slowest = Duration::ZERO;
    for edit in 1..=5 {
        let before = stage.written();
        let mark = format!("mark-{edit}");
        stage.put("route.yaml", &route("marked", "reviews", &mark));
        slowest = slowest.max(eventually(&mark, BOUND, || {
            stage.says("service.shop.reviews", &mark)
        }));
        let changed: Vec<_> = stage
            .written()
            .into_iter()
            .filter(|(path, stamp)| before.get(path) != Some(stamp))
            .map(|(path, _)| path.strip_prefix(stage.out()).unwrap().to_owned())
            .collect();
        let names: Vec<_> = changed.iter().map(|path| path.to_str().unwrap()).collect();
        assert!(
            names
                .iter()
                .all(|name| *name == "config/service.shop.reviews.json"
                    || *name == "status/VirtualRoute.shop.marked.json"),
            "an edit of one route wrote {names:?}"
        );
    }
    println!("slowest of 5 edits: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn unchanged_input_writes_nothing() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    let operator = stage.start();
    operator.ready();
    let before = stage.written();
    // The same bytes in a new file; then a change elsewhere, which shows that it was looked at.
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    stage.put("reviews.yaml", &service("reviews", 1));
    stage.put("probe.yaml", &route("probe", "ratings", "probe"));
    eventually("the probe is in force", BOUND, || {
        stage.says("service.shop.ratings", "probe")
            && stage.status("VirtualRoute.shop.probe").is_some()
    });
    let written: Vec<_> = stage
        .written()
        .into_iter()
        .filter(|(path, stamp)| before.get(path) != Some(stamp))
        .map(|(path, _)| path)
        .collect();
    let probes = [
        "config/service.shop.ratings.json",
        "status/VirtualRoute.shop.probe.json",
    ];
    assert_eq!(written.len(), probes.len(), "{written:?}");
    for probe in probes {
        assert!(written.contains(&stage.out().join(probe)), "{written:?}");
    }
}

#[test]
fn what_is_deleted_is_withdrawn() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    let operator = stage.start();
    operator.ready();
    stage.remove("route.yaml");
    eventually("the route is withdrawn", BOUND, || {
        !stage.says("service.shop.reviews", "first")
            && stage.status("VirtualRoute.shop.marked").is_none()
    });
    assert!(stage.document("service.shop.reviews").is_some());

    stage.remove("reviews.yaml");
    let gone = stage.out().join("identities/shop/reviews");
    eventually("the service is withdrawn", BOUND, || {
        stage.document("service.shop.reviews").is_none()
            && stage.document("endpoints.shop.reviews").is_none()
            && !gone.exists()
    });
    assert!(stage.document("service.shop.ratings").is_some());
    assert!(stage.out().join("identities/shop/ratings/tls.crt").exists());
}

#[test]
fn an_address_that_comes_or_goes_changes_the_endpoints_and_not_the_service() {
    let stage = Stage::new();
    let operator = stage.start();
    operator.ready();
    let before = stage.written();
    stage.put(
        "reviews.yaml",
        &service("reviews", 1).replace("10.1.0.1]", "10.1.0.77]"),
    );
    let took = eventually("the new address is in force", BOUND, || {
        stage.says("endpoints.shop.reviews", "10.1.0.77")
    });
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!stage.says("endpoints.shop.reviews", "10.1.0.1\""));
    let service = stage.out().join("config/service.shop.reviews.json");
    assert_eq!(stage.written().get(&service), before.get(&service));
}

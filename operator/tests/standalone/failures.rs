use crate::stage::{BOUND, Stage, eventually, route};

#[test]
fn a_file_that_cannot_be_read_leaves_the_others_served_and_says_why() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    stage.put("broken.yaml", "kind: [VirtualRoute\nmetadata: {");
    let operator = stage.start();
    let line = operator.ready();
    assert!(!line.ends_with("problems=0"), "{line}");
    assert!(stage.says("service.shop.reviews", "first"));
    let why = stage.condition("File.broken.yaml", "Ready");
    assert!(why.starts_with("False"), "{why}");

    stage.put("broken.yaml", &route("mended", "ratings", "second"));
    eventually("the mended file is served", BOUND, || {
        stage.says("service.shop.ratings", "second") && stage.status("File.broken.yaml").is_none()
    });
}

#[test]
fn a_broken_document_hides_none_of_its_file_and_what_it_said_stays_in_force() {
    let stage = Stage::new();
    let good = route("good", "reviews", "good-1");
    let bad = route("bad", "ratings", "bad-1");
    stage.put("routes.yaml", &format!("{good}---{bad}"));
    let operator = stage.start();
    operator.ready();
    assert!(stage.says("service.shop.ratings", "bad-1"));

    let better = route("good", "reviews", "good-2");
    stage.put(
        "routes.yaml",
        &format!("{better}---\nkind: VirtualRoute\n  metadata: [\n"),
    );
    eventually("the rest of the file is served", BOUND, || {
        stage.says("service.shop.reviews", "good-2")
    });
    eventually("the status of the one that is kept says why", BOUND, || {
        stage
            .condition("VirtualRoute.shop.bad", "Ready")
            .contains("routes.yaml")
    });
    assert!(
        stage.says("service.shop.ratings", "bad-1"),
        "it was dropped"
    );
}

#[test]
fn an_object_that_means_nothing_keeps_its_last_good_meaning_and_its_status_says_why() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("turns-bad", "reviews", "good"));
    stage.put("other.yaml", &route("other", "ratings", "other-1"));
    let operator = stage.start();
    operator.ready();

    let bad = route("turns-bad", "reviews", "bad").replace("type: Exact", "type: Exactly");
    stage.put("route.yaml", &bad);
    stage.put("other.yaml", &route("other", "ratings", "other-2"));
    eventually("the other one is served", BOUND, || {
        stage.says("service.shop.ratings", "other-2")
    });
    eventually("its status names the field", BOUND, || {
        let ready = stage.condition("VirtualRoute.shop.turns-bad", "Ready");
        ready.starts_with("False") && ready.contains("headers")
    });
    assert!(stage.says("service.shop.reviews", "good"), "it was dropped");
    assert!(!stage.says("service.shop.reviews", "\"bad\""));

    stage.put("route.yaml", &route("turns-bad", "reviews", "mended"));
    eventually("it is mended", BOUND, || {
        stage.says("service.shop.reviews", "mended")
            && stage
                .condition("VirtualRoute.shop.turns-bad", "Ready")
                .starts_with("True")
    });
}

#[test]
fn names_that_are_no_names_reach_no_file() {
    let stage = Stage::new();
    let hostile = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: ../../../escaped, namespace: ..}
---
apiVersion: v1
kind: Service
metadata: {name: a/b, namespace: shop}
spec: {ports: [{port: 80}]}
";
    stage.put("hostile.yaml", hostile);
    let operator = stage.start();
    let line = operator.ready();
    assert!(!line.ends_with("problems=0"), "{line}");
    assert!(stage.document("service.shop.reviews").is_some());
    let strangers: Vec<_> = stage
        .written()
        .into_keys()
        .filter(|path| path.to_str().is_some_and(|path| path.contains("escaped")))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(!stage.out().parent().unwrap().join("escaped").exists());
    let why = stage.condition("File.hostile.yaml", "Ready");
    assert!(why.starts_with("False"), "{why}");
}

#[test]
fn an_object_that_two_files_declare_is_the_first_ones_until_that_goes() {
    let stage = Stage::new();
    stage.put("a.yaml", &route("marked", "reviews", "from-a"));
    stage.put("b.yaml", &route("marked", "reviews", "from-b"));
    let operator = stage.start();
    operator.ready();
    assert!(stage.says("service.shop.reviews", "from-a"));
    let why = stage.condition("File.b.yaml", "Ready");
    assert!(why.contains("a.yaml"), "{why}");
    stage.remove("a.yaml");
    eventually("the second one is in force", BOUND, || {
        stage.says("service.shop.reviews", "from-b")
    });
}

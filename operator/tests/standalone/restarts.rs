use crate::stage::{BOUND, Stage, eventually, route};

#[test]
fn after_a_kill_documents_stay_and_a_restart_writes_none_of_them_again() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    stage.put("wrong.yaml", &route("wrong", "absent", "never"));
    let operator = stage.start();
    operator.ready();
    let before = stage.written();
    let bundle = stage.document("mesh").unwrap();
    operator.kill();
    assert_eq!(
        stage.written(),
        before,
        "the documents went with the operator"
    );

    let operator = stage.start();
    operator.ready();
    assert_eq!(stage.document("mesh").unwrap(), bundle, "another CA");
    let after = stage.written();
    let differ: Vec<_> = after
        .iter()
        .filter(|(path, stamp)| before.get(*path) != Some(stamp))
        .chain(before.iter().filter(|(path, _)| !after.contains_key(*path)))
        .collect();
    assert!(differ.is_empty(), "written or removed: {differ:?}");
}

#[test]
fn what_went_while_no_operator_ran_is_withdrawn_and_what_was_damaged_is_mended() {
    let stage = Stage::new();
    stage.put("route.yaml", &route("marked", "reviews", "first"));
    stage.start().ready();
    // `start` was dropped: it is killed.
    stage.remove("route.yaml");
    stage.remove("ratings.yaml");
    let mesh = stage.out().join("config/mesh.json");
    std::fs::write(&mesh, "{\"apiVersion\":").unwrap();

    let operator = stage.start();
    operator.ready();
    assert!(stage.document("mesh").is_some());
    assert!(!stage.says("service.shop.reviews", "first"));
    assert!(stage.document("service.shop.ratings").is_none());
    assert!(stage.document("endpoints.shop.ratings").is_none());
    let identity = stage.out().join("identities/shop/ratings");
    eventually("the identity is withdrawn", BOUND, || !identity.exists());
    eventually("the status is withdrawn", BOUND, || {
        stage.status("VirtualRoute.shop.marked").is_none()
    });
}

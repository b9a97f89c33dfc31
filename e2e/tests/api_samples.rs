//! The samples on a real API server.

use std::path::Path;

use weft_e2e::control_plane::ControlPlane;

#[tokio::test]
async fn the_bookstore_applies_to_a_cluster_and_applying_again_changes_nothing() {
    // A control plane of its own: other tests count the objects of the shared one.
    let plane = ControlPlane::start().await.unwrap();
    plane.install_crds().await.unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/bookstore");
    let samples = samples.to_str().unwrap();
    let kubectl = plane.kubectl();
    let apply = ["apply", "--server-side", "-k", samples];
    let first = kubectl.run(&apply).await.unwrap();
    assert_eq!(first.stderr, "", "the API server warns");

    let get = ["get", "vr,mpol,apol", "-n", "bookstore", "-o", "name"];
    let names = kubectl.run(&get).await.unwrap().stdout;
    for expected in [
        "virtualroute.weft.dev/reviews",
        "virtualroute.weft.dev/catalog",
        "virtualroute.weft.dev/ledger",
        "meshpolicy.weft.dev/strict",
        "authpolicy.weft.dev/reviews-viewers",
    ] {
        assert!(names.contains(expected), "{expected} is not among {names}");
    }

    let versions = [
        "get",
        "vr,mpol,apol,deployments,services",
        "-n",
        "bookstore",
        "-o",
        "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}",
    ];
    // The first re-apply stores the status that the API server so far only defaults on reading.
    kubectl.run(&apply).await.unwrap();
    let before = kubectl.run(&versions).await.unwrap().stdout;
    kubectl.run(&apply).await.unwrap();
    assert_eq!(before, kubectl.run(&versions).await.unwrap().stdout);
    assert!(before.lines().count() >= 20, "too few objects: {before}");
}

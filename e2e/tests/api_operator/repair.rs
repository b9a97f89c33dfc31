use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    operator::Operator,
    stage::{CONFIG, Stage, eventually},
};

const BOUND: Duration = Duration::from_secs(15);
/// Watches come back with a pause that grows while the API server is away.
const RECOVERY: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_document_that_was_edited_or_deleted_by_hand_is_put_right() {
    let stage = Stage::enter("repair").await;
    let _operator = Operator::lead(&stage, "repair-operator").await;
    stage.route("route", "reviews", "as-meant").await;
    stage.until_says("reviews", "as-meant", BOUND).await;
    let name = stage.service_document("reviews");
    let meant = stage.document(&name).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), CONFIG);

    let edit = json!({"data": {"document": "{}"}});
    maps.patch(&name, &PatchParams::default(), &Patch::Merge(&edit))
        .await
        .unwrap();
    let took = as_meant(&stage, &name, &meant).await;
    println!("an edited document was put right after {took:?}");

    maps.delete(&name, &DeleteParams::default()).await.unwrap();
    let took = as_meant(&stage, &name, &meant).await;
    println!("a deleted document was put right after {took:?}");
}

async fn as_meant(stage: &Stage, name: &str, meant: &str) -> Duration {
    eventually(&format!("{name} is as meant"), BOUND, || async {
        match stage.document(name).await {
            Some(text) if text == meant => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn an_outage_of_the_api_server_is_survived() {
    let stage = Stage::enter("outage").await;
    let operator = Operator::lead(&stage, "outage-operator").await;
    stage.route("route", "reviews", "before-the-outage").await;
    stage
        .until_says("reviews", "before-the-outage", BOUND)
        .await;
    let before = stage.document(&stage.service_document("reviews")).await;

    stage.plane.stop_api_server().await.unwrap();
    // Longer than the lease lasts: it has stepped down when the API server is back.
    tokio::time::sleep(Duration::from_secs(12)).await;
    operator.assert_runs();
    stage.plane.start_api_server().await.unwrap();

    assert_eq!(
        stage.document(&stage.service_document("reviews")).await,
        before
    );
    stage.route("route", "reviews", "after-the-outage").await;
    let took = stage
        .until_says("reviews", "after-the-outage", RECOVERY)
        .await;
    operator.assert_runs();
    println!("served {took:?} after the API server was back");
}

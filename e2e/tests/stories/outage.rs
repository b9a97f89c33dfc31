//! Without what controls the mesh.

use std::time::Duration;

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-outage";

/// The operator is not on the path of any request, nor of a proxy's start.
pub(crate) async fn traffic_goes_on_without_an_operator(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    eventually("the reviews answer", async || {
        reader.get(&url).await?.ok().map(|_| ())
    })
    .await?;

    let outage = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let args = [
            "-n",
            "weft-system",
            "delete",
            "deployment",
            "weft-operator",
            "--wait",
        ];
        stage.run(&args).await?;
        eventually("no operator is left", async || {
            let pods = stage
                .run(&["-n", "weft-system", "get", "pods", "-o", "name"])
                .await?;
            ensure!(pods.trim().is_empty(), "{pods}");
            Ok(())
        })
        .await
    };
    let (load, outage) = tokio::join!(reader.load(&url, 50, 15), outage);
    // Before anything can fail the story: the others need it.
    stage.apply_config().await?;
    stage.rolled_out("weft-system").await?;
    outage?;
    let requests = load?.none_failed()?;
    stage.note(format!(
        "outage: {requests} requests while the operator was deleted, 0 failed"
    ));

    // After its return a change takes effect again.
    stage.apply(&no_readers()).await?;
    eventually(
        "a policy written after the return is in force",
        async || {
            let answer = reader.get(&url).await?;
            ensure!(answer.status == Some(403), "{answer:?}");
            Ok(())
        },
    )
    .await
}

fn no_readers() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: no-readers, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Service, name: reviews}}]
  action: Deny
  rules:
  - name: reader
    from:
    - serviceAccounts: [{HERE}/reader]
"#
    )
}

//! Protocols in which the server speaks first.

use crate::{
    caller::Caller,
    stage::{Stage, Told, ensure, eventually, file},
};

const HERE: &str = "story-tcp";
const OUTSIDE: &str = "story-tcp-outside";

pub(crate) async fn a_server_that_speaks_first_is_reached_by_mutual_tls(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    let ledger = file("config/samples/bookstore/ledger.yaml")?;
    stage
        .apply(&ledger.replace("namespace: bookstore", &format!("namespace: {HERE}")))
        .await?;
    stage.apply(&policies()).await?;
    let writer = Caller::create(stage, HERE, "writer").await?;
    let stranger = Caller::create(stage, HERE, "stranger").await?;
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    stage.rolled_out(HERE).await?;
    stage.rolled_out(OUTSIDE).await?;
    let address = format!("ledger.{HERE}:7000");
    eventually("the ledger greets a writer", async || {
        let said = writer.tcp(&address).await?;
        let greeting = said["greeting"].as_str().unwrap_or_default();
        ensure!(greeting.starts_with("220 ledger"), "{said}");
        ensure!(said["echo"] == "sold 1", "{said}");
        Ok(())
    })
    .await?;
    for (who, caller) in [("a stranger", &stranger), ("a plaintext caller", &outsider)] {
        let said = caller.tcp(&address).await?;
        ensure!(said["greeting"].is_null(), "{who} was greeted: {said}");
    }
    Ok(())
}

fn policies() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: strict, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Namespace, name: {HERE}}}]
  mtls: {{mode: Strict}}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: writers, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Service, name: ledger}}]
  action: Allow
  rules:
  - name: writer
    from:
    - serviceAccounts: [{HERE}/writer]
"#
    )
}

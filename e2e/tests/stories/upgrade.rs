//! The mesh is replaced, and taken away, while traffic flows.

use std::time::Duration;

use weft_install::Values;

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually, text},
};

const HERE: &str = "story-upgrade";

/// Other arguments of the operator (another lifetime, so that every identity is issued anew), then
/// `weft uninstall`, then a new installation.
pub(crate) async fn an_upgrade_and_an_uninstall_lose_no_request(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(&route()).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    eventually("the reviews answer", async || {
        reader.get(&url).await?.ok().map(|_| ())
    })
    .await?;

    let (load, upgraded) = tokio::join!(reader.load(&url, 50, 20), upgrade(stage));
    let (gone_load, uninstalled) = match (&load, &upgraded) {
        (Ok(_), Ok(())) => tokio::join!(reader.load(&url, 50, 15), uninstall(stage)),
        _ => (Err("not reached".to_owned()), Ok(())),
    };
    // Before anything can fail the story: the others need it.
    stage.apply_config().await?;
    stage.rolled_out("weft-system").await?;
    upgraded?;
    let upgrading = load?.none_failed()?;
    uninstalled?;
    let uninstalling = gone_load?.none_failed()?;
    stage.note(format!(
        "upgrade: {upgrading} requests while the operator was replaced, {uninstalling} while the mesh was uninstalled, 0 failed"
    ));

    // The new mesh is the old one: its CA, its routes, and a change takes effect.
    stage
        .apply(&route().replace("set: {x-told: once}", "set: {x-told: twice}"))
        .await?;
    eventually(
        "a route that is changed afterwards is in force",
        async || {
            let answer = reader.get(&url).await?;
            answer.ok()?;
            ensure!(answer.header("x-told") == "twice", "{answer:?}");
            Ok(())
        },
    )
    .await
}

async fn upgrade(stage: &Stage) -> Told {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = operators(stage).await?;
    let mut values = Values::defaults().map_err(text)?;
    values.set("leafLifetime", "23h").map_err(text)?;
    values
        .set("operator.resources.requests.cpu", "51m")
        .map_err(text)?;
    let objects = weft_install::install(&values).map_err(text)?;
    stage
        .apply(&weft_install::to_yaml(&objects).map_err(text)?)
        .await?;
    stage.rolled_out("weft-system").await?;
    // The last of the old ones may still be ending.
    eventually("every operator is a new one", async || {
        let after = operators(stage).await?;
        ensure!(
            !after.is_empty() && !after.lines().any(|pod| before.contains(pod)),
            "{before} became {after}"
        );
        Ok(())
    })
    .await
}

async fn uninstall(stage: &Stage) -> Told {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let names = weft_install::uninstall(false).map_err(text)?;
    let names = weft_install::to_yaml(&names).map_err(text)?;
    stage.delete(&names).await?;
    eventually("no operator is left", async || {
        let pods = operators(stage).await?;
        ensure!(pods.is_empty(), "{pods}");
        Ok(())
    })
    .await?;
    for object in [
        &["-n", HERE, "virtualroute/reviews"][..],
        &["crd/authpolicies.weft.dev"],
        &["-n", "weft-system", "secret/weft-ca"],
        &["-n", HERE, "secret/weft-identity-reader"],
    ] {
        stage.get(object).await?;
    }
    Ok(())
}

async fn operators(stage: &Stage) -> Told<String> {
    let args = [
        "-n",
        "weft-system",
        "get",
        "pods",
        "--field-selector=status.phase=Running",
        "-o",
        "name",
    ];
    Ok(stage.run(&args).await?.trim().to_owned())
}

fn route() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: reviews, namespace: {HERE}}}
spec:
  parentRefs: [{{kind: Service, name: reviews, port: 9080}}]
  http:
  - name: all
    responseHeaders:
      set: {{x-told: once}}
    backendRefs:
    - {{name: reviews, port: 9080}}
"#
    )
}

//! The mesh is replaced, and taken away, while traffic flows.

use std::{cell::Cell, time::Duration};

use weft_install::Values;

use crate::{
    caller::Caller,
    canary::reviews,
    stage::{Stage, Told, ensure, eventually, text},
};

const HERE: &str = "story-upgrade";

/// The tag of the new version.
const NEXT: &str = "next";

/// Images of another tag, and another lifetime, so that every identity is issued anew; the
/// applications' pods made anew with the new proxy; then `weft uninstall`, then a new
/// installation.
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

    let ended = Cell::new(false);
    let upgrade = async {
        let done = upgrade(stage).await;
        ended.set(true);
        done
    };
    let load = reader.load_until(&ended, &url, &[], 50);
    let (load, upgraded) = tokio::join!(load, upgrade);
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
        "upgrade: {upgrading} requests while operator and proxies were replaced by another tag's, {uninstalling} while the mesh was uninstalled, 0 failed"
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
    // Elsewhere there is no such image.
    let is_ours = !stage.cluster().is_current();
    if is_ours {
        stage.cluster().tag_images(NEXT).map_err(text)?;
        for program in ["operator", "proxy"] {
            let image = format!("weft-{program}:{NEXT}");
            values
                .set(&format!("{program}.image"), &image)
                .map_err(text)?;
        }
    }
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
    .await?;
    if is_ours {
        eventually("the old operators are gone", async || {
            runs_only(stage, "weft-system", "containers", "operator").await
        })
        .await?;
    }

    // The proxies follow when their pods are made anew.
    let both = ["deployment/reviews-v1", "deployment/reviews-v2"];
    let restart = ["-n", HERE, "rollout", "restart", both[0], both[1]];
    stage.run(&restart).await?;
    stage.rolled_out(HERE).await?;
    if is_ours {
        eventually("the old pods are gone", async || {
            runs_only(stage, HERE, "initContainers", "proxy").await
        })
        .await?;
    }
    Ok(())
}

/// Whether all pods but the caller's run the new version of a program, and there are some.
async fn runs_only(stage: &Stage, namespace: &str, containers: &str, program: &str) -> Told {
    let path = format!(
        "jsonpath={{range .items[*].spec.{containers}[?(@.name==\"{container}\")]}}{{.image}}{{\"\\n\"}}{{end}}",
        container = if program == "proxy" {
            "weft-proxy"
        } else {
            program
        },
    );
    let args = [
        "-n",
        namespace,
        "get",
        "pods",
        "-l",
        "app!=reader",
        "-o",
        &path,
    ];
    let images = stage.run(&args).await?;
    let next = format!("weft-{program}:{NEXT}");
    ensure!(
        !images.is_empty() && images.lines().all(|image| image == next),
        "not all run {next}: {images:?}"
    );
    Ok(())
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

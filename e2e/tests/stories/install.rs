//! Installing.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_install::Values;

use crate::stage::{Stage, Told, ensure, repository, text};

/// `kubectl apply --server-side -k config/` is how it is installed, how it is upgraded, and what a
/// GitOps controller does every few minutes.
pub(crate) async fn applying_it_twice_changes_nothing(stage: &Stage) -> Told {
    let before = objects(stage).await?;
    ensure!(
        before.len() > 15,
        "only {} objects in config/",
        before.len()
    );
    stage.apply_config().await?;
    // `weft install` is another way to the same, at any time.
    let printed = weft_install::install(&Values::defaults().map_err(text)?).map_err(text)?;
    let printed = weft_install::to_yaml(&printed).map_err(text)?;
    stage.apply(&printed).await?;
    stage.apply_config().await?;
    let after = objects(stage).await?;
    for (name, object) in &before {
        let now = after.get(name).ok_or_else(|| format!("{name} is gone"))?;
        ensure!(
            object == now,
            "{name} was changed by applying it again:\n{object:#}\n{now:#}"
        );
    }
    // What GitOps controllers ask: would applying it change anything?
    let config = repository().join("config");
    let args = ["diff", "--server-side", "-k", &config.to_string_lossy()];
    stage.run(&args).await?;
    for kind in [
        "mutatingwebhookconfiguration/weft-injector",
        "validatingwebhookconfiguration/weft-validator",
    ] {
        let webhook = stage.get(&[kind]).await?;
        let bundle = &webhook["webhooks"][0]["clientConfig"]["caBundle"];
        ensure!(
            bundle.as_str().is_some_and(|bundle| !bundle.is_empty()),
            "{kind} has lost its caBundle"
        );
    }
    Ok(())
}

/// Everything that `config/` names, without what the cluster writes by itself.
async fn objects(stage: &Stage) -> Told<BTreeMap<String, Value>> {
    let config = repository().join("config");
    let mut list = stage
        .get(&["--show-managed-fields", "-k", &config.to_string_lossy()])
        .await?;
    let items = list["items"].as_array_mut().map(std::mem::take);
    Ok(items
        .into_iter()
        .flatten()
        .map(|mut object| {
            let name = format!(
                "{} {}/{}",
                object["kind"].as_str().unwrap_or(""),
                object["metadata"]["namespace"].as_str().unwrap_or(""),
                object["metadata"]["name"].as_str().unwrap_or("")
            );
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
                // Whose proxies may read: namespaces come and go meanwhile.
                fields.remove("subjects");
            }
            if let Some(metadata) = object["metadata"].as_object_mut() {
                // Status writes count here too; what is not status counts in `generation`.
                metadata.remove("resourceVersion");
                if let Some(managers) = metadata
                    .get_mut("managedFields")
                    .and_then(Value::as_array_mut)
                {
                    managers.retain(|manager| {
                        manager["subresource"] != "status" && manager["manager"] != "weft-operator"
                    });
                }
            }
            (name, object)
        })
        .collect())
}

use serde_json::Value;

use crate::stage::{Stage, config, installation};

/// A way to install.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Kustomize,
    CommandLine,
    Helm,
}

impl Way {
    async fn apply(self, stage: &Stage) {
        match self {
            Self::Kustomize => {
                let config = config("");
                stage
                    .kubectl(&["apply", "--server-side", "-k", &config])
                    .await;
            }
            Self::CommandLine => {
                stage.apply(&installation()).await;
            }
            Self::Helm => {
                let chart = config("chart");
                stage
                    .helm(&[
                        "upgrade",
                        "--install",
                        "weft",
                        &chart,
                        "--namespace=default",
                    ])
                    .await;
            }
        }
    }
}

/// Down to the resource version: nothing was written. What the operator wrote meanwhile
/// (`caBundle`, who may read the documents) stands.
async fn changes_nothing(way: Way) {
    let mut stage = Stage::enter().await;
    way.apply(&stage).await;
    stage.start_operator().await;
    // Nobody else writes from now on.
    stage.stop_operator();
    let before = stage.installed().await;
    assert_eq!(before.len(), installation().len());
    for _ in 0..2 {
        way.apply(&stage).await;
    }
    let after = stage.installed().await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(
            before, after,
            "{way:?} changed {}",
            before["metadata"]["name"]
        );
    }
    let of_kind = |kind: &str| -> Vec<&Value> {
        let found = after.iter().filter(|object| object["kind"] == kind);
        found.collect()
    };
    for kind in [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ] {
        let bundle = &of_kind(kind)[0]["webhooks"][0]["clientConfig"]["caBundle"];
        assert!(
            bundle.as_str().is_some_and(|bundle| bundle.len() > 100),
            "{kind}: {bundle}"
        );
    }
    let readers = of_kind("RoleBinding")
        .into_iter()
        .find(|binding| binding["metadata"]["name"] == "weft-proxy");
    assert_eq!(
        readers.unwrap()["subjects"][0]["name"],
        "system:serviceaccounts:shop"
    );
    // What a GitOps controller asks before it acts. It fails where there is a difference.
    if way != Way::Helm {
        let yaml = weft_install::to_yaml(&installation()).unwrap();
        let diff = stage
            .kubectl_with(&["diff", "--server-side", "-f", "-"], &yaml)
            .await;
        assert_eq!(diff, "");
    }
}

#[tokio::test]
async fn kustomize_applied_again_changes_nothing() {
    changes_nothing(Way::Kustomize).await;
}

#[tokio::test]
async fn weft_install_applied_again_changes_nothing() {
    changes_nothing(Way::CommandLine).await;
}

#[tokio::test]
async fn helm_upgrade_to_the_same_chart_changes_nothing() {
    changes_nothing(Way::Helm).await;
}

use serde_json::Value;

use crate::stage::{Stage, config};

/// As docs/gitops.md says it.
#[tokio::test]
async fn the_fragment_for_argo_cd_is_merged_into_its_config_map_by_kubectl() {
    let stage = Stage::enter().await;
    stage.plane.create_namespace("argocd", &[]).await.unwrap();
    let args = [
        "-n",
        "argocd",
        "create",
        "configmap",
        "argocd-cm",
        "--from-literal=url=https://argocd.example.com",
    ];
    stage.kubectl(&args).await;
    let fragment = config("gitops/argocd-cm.yaml");
    let args = [
        "-n",
        "argocd",
        "patch",
        "configmap",
        "argocd-cm",
        "--patch-file",
        &fragment,
    ];
    stage.kubectl(&args).await;
    let args = [
        "-n",
        "argocd",
        "get",
        "configmap",
        "argocd-cm",
        "-o",
        "json",
    ];
    let merged: Value = serde_json::from_str(&stage.kubectl(&args).await).unwrap();
    let data = &merged["data"];
    assert_eq!(data["url"], "https://argocd.example.com");
    for kind in ["VirtualRoute", "MeshPolicy", "AuthPolicy"] {
        let lua = &data[format!("resource.customizations.health.weft.dev_{kind}")];
        let lua = lua.as_str().unwrap_or_default();
        assert!(lua.contains("observedGeneration"), "{kind}: {data}");
    }
}

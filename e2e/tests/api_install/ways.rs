use std::collections::BTreeMap;

use serde_json::Value;
use weft_install::Values;

use crate::stage::{Stage, config};

/// By kind, namespace and name.
fn named(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |object: &Value| {
        format!(
            "{} {}/{}",
            object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]
        )
    };
    objects
        .into_iter()
        .map(|object| (name(&object), object))
        .collect()
}

fn parsed(yaml: &str) -> BTreeMap<String, Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    let documents = documents.into_iter().filter(|object| !object.is_null());
    named(documents.collect())
}

/// What Helm renders. Its `keep` is for Helm alone: it says what stays when the release goes.
fn charted(yaml: &str) -> BTreeMap<String, Value> {
    let mut objects = parsed(yaml);
    for (name, object) in &mut objects {
        let kept = name.contains("CustomResourceDefinition") || name.contains("Namespace");
        let metadata = object["metadata"].as_object_mut().unwrap();
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            let policy = annotations.remove("helm.sh/resource-policy");
            assert_eq!(policy.is_some(), kept, "{name}");
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        } else {
            assert!(!kept, "{name} goes with the release");
        }
    }
    objects
}

fn assert_same(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>, what: &str) {
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{what}");
    for (name, object) in one {
        assert_eq!(object, &other[name], "{what}: {name}");
    }
}

#[tokio::test]
async fn kustomize_the_chart_and_the_command_line_install_the_same() {
    let stage = Stage::enter().await;
    let chart = config("chart");
    let mut values = Values::defaults().unwrap();
    let printed = named(weft_install::install(&values).unwrap());
    assert!(printed.len() > 15, "{:?}", printed.keys());

    let kustomized = stage.kubectl(&["kustomize", &config("")]).await;
    assert_same(&parsed(&kustomized), &printed, "kustomize");
    let charted_by_default = stage.helm(&["template", "weft", &chart]).await;
    assert_same(&charted(&charted_by_default), &printed, "the chart");

    // Whatever is chosen.
    let chosen = "
trustDomain: example.org
clusterDomain: corp.example
leafLifetime: 90m
namespaces: {create: false}
operator:
  image: registry.example/weft/operator@sha256:0123
  imagePullPolicy: Always
  replicas: 3
  resources: {limits: {memory: 1Gi}, requests: {cpu: null}}
proxy: {image: 'registry.example/weft/proxy:1.2', imagePullPolicy: Never}
gateway: {enabled: true, replicas: 5, serviceType: NodePort, resources: {requests: {cpu: 2}}}
";
    let file = stage.plane.dir().join("values.yaml");
    std::fs::write(&file, chosen).unwrap();
    values.overlay(chosen).unwrap();
    let printed = named(weft_install::install(&values).unwrap());
    let file = file.to_string_lossy();
    let charted_as_chosen = stage.helm(&["template", "weft", &chart, "-f", &file]).await;
    assert_same(
        &charted(&charted_as_chosen),
        &printed,
        "the chart as chosen",
    );

    // The gateway by itself.
    let mut values = Values::defaults().unwrap();
    let without = named(weft_install::install(&values).unwrap());
    values.set("gateway.enabled", "true").unwrap();
    let mut with = named(weft_install::install(&values).unwrap());
    with.retain(|name, _| !without.contains_key(name));
    let kustomized = stage.kubectl(&["kustomize", &config("gateway")]).await;
    assert_same(&parsed(&kustomized), &with, "config/gateway");
    // The API server takes it.
    stage
        .kubectl(&["apply", "--server-side", "-k", &config("gateway")])
        .await;
}

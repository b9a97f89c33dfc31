use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{Error, SETTINGS, Values, chart, install, source::FILES, uninstall};

fn config() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

/// What a kustomization names, as far as files go.
fn kustomized(folder: &str, found: &mut BTreeSet<String>) {
    let path = config().join(folder);
    let text = fs::read_to_string(path.join("kustomization.yaml")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&text).unwrap();
    for resource in kustomization["resources"].as_array().unwrap() {
        let resource = resource.as_str().unwrap();
        let below = format!("{folder}/{resource}");
        if path.join(resource).is_dir() {
            kustomized(&below, found);
        } else {
            found.insert(below.trim_start_matches("./").to_owned());
        }
    }
}

fn container(objects: &[Value]) -> &Value {
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn the_manifests_are_those_of_the_kustomizations() {
    let mut found = BTreeSet::new();
    kustomized(".", &mut found);
    kustomized("gateway", &mut found);
    let ours: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
    assert_eq!(ours, found);
}

#[test]
fn the_chart_in_the_repository_is_the_one_that_is_generated() {
    let folder = config().join("chart");
    for (path, text) in chart().unwrap() {
        let committed = fs::read_to_string(folder.join(&path)).unwrap_or_default();
        assert!(
            committed == text,
            "config/chart/{path} is another; run `make chart` and commit the result"
        );
    }
}

#[test]
fn every_place_of_a_setting_holds_the_same_default() {
    for setting in SETTINGS {
        let default = setting.default().unwrap();
        setting.check(&default).unwrap();
        let mut seen = 0;
        for file in FILES {
            for mut object in file.objects().unwrap() {
                for place in setting.places {
                    if !place.is_in(&object) {
                        continue;
                    }
                    let found = place.find(&mut object).map(Value::take);
                    assert_eq!(found, Some(default.clone()), "{} {place:?}", setting.key);
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, setting.places.len(), "{}", setting.key);
    }
}

#[test]
fn the_images_are_those_of_this_version() {
    for key in ["operator.image", "proxy.image"] {
        let setting = SETTINGS.iter().find(|setting| setting.key == key).unwrap();
        let image = setting.default().unwrap();
        let version = format!(":{}", env!("CARGO_PKG_VERSION"));
        assert!(
            image.as_str().unwrap().ends_with(&version),
            "{key}: {image}"
        );
    }
}

#[test]
fn a_setting_reaches_every_place_of_its_own_and_no_other() {
    let mut values = Values::defaults().unwrap();
    let before = install(&values).unwrap();
    values
        .set("proxy.image", "registry.example/proxy:1")
        .unwrap();
    values.set("gateway.enabled", "true").unwrap();
    values
        .set("operator.resources.limits.memory", "1Gi")
        .unwrap();
    values
        .overlay("operator: {replicas: 3}\nleafLifetime: 1h")
        .unwrap();
    let after = install(&values).unwrap();

    let images: Vec<_> = after
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .map(|object| &object["spec"]["template"]["spec"]["containers"][0])
        .collect();
    let [operator, gateway] = images[..] else {
        panic!("{images:?}");
    };
    assert_eq!(gateway["image"], "registry.example/proxy:1");
    assert_eq!(operator["image"], container(&before)["image"]);
    assert_eq!(
        operator["resources"],
        json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}})
    );
    let changed: Vec<_> = before
        .iter()
        .filter(|object| !after.contains(object))
        .map(|object| &object["metadata"]["name"])
        .collect();
    assert_eq!(changed, ["weft-operator"]);
    let env: Vec<_> = operator["env"].as_array().unwrap().iter().collect();
    for (name, value) in [
        ("WEFT_PROXY_IMAGE", "registry.example/proxy:1"),
        ("WEFT_LEAF_LIFETIME", "1h"),
        ("WEFT_TRUST_DOMAIN", "cluster.local"),
    ] {
        assert!(
            env.iter()
                .any(|entry| entry["name"] == name && entry["value"] == value),
            "{name}: {env:?}"
        );
    }
}

#[test]
fn a_value_that_means_nothing_is_refused_by_name_and_changes_nothing() {
    let defaults = Values::defaults().unwrap();
    for (yaml, says) in [
        ("operator: {replica: 3}", "no setting `operator.replica`"),
        ("operator: 3", "no setting `operator`"),
        ("operator: {replicas: 0}", "a number from 1 to 100"),
        ("leafLifetime: 5s", "at least 10s"),
        ("leafLifetime: a day", "24h"),
        ("trustDomain: Not A Domain", "cluster.local"),
        (
            "proxy: {imagePullPolicy: Sometimes}",
            "IfNotPresent, Always, Never",
        ),
        ("proxy: {image: 7}", "it is text"),
        ("gateway: {enabled: maybe}", "true or false"),
        (
            "operator: {resources: {limit: {}}}",
            "`requests` and `limits`",
        ),
        ("[1]", "no setting"),
        ("{", "not YAML"),
    ] {
        let mut values = defaults.clone();
        let refused = values.overlay(yaml).unwrap_err().to_string();
        assert!(refused.contains(says), "{yaml}: {refused}");
        assert_eq!(values, defaults, "{yaml}");
    }
    let mut values = defaults.clone();
    values.overlay("# nothing\n").unwrap();
    assert_eq!(values, defaults);
    assert!(matches!(
        values.set("trustDomain.x", "y"),
        Err(Error::Value { .. })
    ));
}

#[test]
fn uninstalling_takes_the_webhooks_first_and_leaves_what_is_the_users() {
    let kinds = |all| -> Vec<String> {
        let objects = uninstall(all).unwrap();
        let kinds = objects
            .iter()
            .map(|object| object["kind"].as_str().unwrap());
        kinds.map(str::to_owned).collect()
    };
    let some = kinds(false);
    assert!(
        some[..2]
            .iter()
            .all(|kind| kind.ends_with("WebhookConfiguration"))
    );
    assert!(
        !some
            .iter()
            .any(|kind| kind == "Namespace" || kind == "CustomResourceDefinition")
    );
    let mut values = Values::defaults().unwrap();
    values.set("gateway.enabled", "true").unwrap();
    assert_eq!(kinds(true).len(), install(&values).unwrap().len());
    assert_eq!(kinds(true)[some.len()..].len(), 3 + 3);
}

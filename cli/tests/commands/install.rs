use serde_json::Value;

use crate::weft::run;

fn objects(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).expect("a stream of YAML")
}

#[test]
fn install_prints_the_mesh_with_what_was_chosen() {
    let printed = run([
        "install",
        "--set",
        "trustDomain=example.org",
        "--set",
        "operator.replicas=3",
    ]);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let objects = objects(&printed.stdout);
    let deployments: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .collect();
    let [operator] = deployments[..] else {
        panic!("{deployments:?}");
    };
    assert_eq!(operator["spec"]["replicas"], 3);
    let env = operator["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
    assert!(env.contains("example.org"), "{env}");
    assert!(objects.len() > 15, "{}", objects.len());

    let with = run(["install", "--gateway", "-o", "json"]);
    let list: Value = serde_json::from_str(&with.stdout).expect("JSON");
    assert!(list["items"].as_array().unwrap().len() > objects.len());
}

#[test]
fn install_refuses_a_value_that_means_nothing() {
    for (argument, says) in [
        ("operator.replica=3", "there is no setting"),
        ("leafLifetime=1s", "at least 10s"),
        ("trustDomain", "KEY=VALUE"),
    ] {
        let printed = run(["install", "--set", argument]);
        assert_eq!(printed.code, 2, "{}", printed.stdout);
        assert!(printed.stderr.contains(says), "{}", printed.stderr);
        assert_eq!(printed.stdout, "");
    }
}

#[test]
fn uninstall_names_neither_namespaces_nor_definitions_unless_all_is_asked_for() {
    let kinds = |arguments: &[&str]| -> Vec<String> {
        let printed = run(arguments.iter().copied());
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        let objects = objects(&printed.stdout);
        let kinds = objects.iter().map(|object| object["kind"].to_string());
        kinds.collect()
    };
    let kept = |kinds: &[String]| {
        kinds
            .iter()
            .filter(|kind| kind.contains("Namespace") || kind.contains("CustomResource"))
            .count()
    };
    assert_eq!(kept(&kinds(&["uninstall"])), 0);
    assert_eq!(kept(&kinds(&["uninstall", "--all"])), 6);
}

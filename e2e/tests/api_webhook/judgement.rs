//! What the API server says of an object is what `weft lint` says of it.

use std::{collections::BTreeSet, fs, process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{
    pod,
    stage::{Stage, eventually, program},
};

/// A namespace without pods, outside the mesh.
const PLACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: judged}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: judged}
";

/// Services first; then objects in the order in which they get in each other's way.
const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: judged}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: judged}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
";

const OWN: [(&str, &str, &str); 6] = [
    (
        "AuthPolicy",
        "a-narrow",
        "{targetRefs: [{kind: Service, name: web}], rules: [{name: reads, from: [{serviceAccounts: [judged/a]}], to: [{methods: [GET]}]}]}",
    ),
    // Takes the sense from the one before.
    (
        "AuthPolicy",
        "b-wide",
        "{targetRefs: [{kind: Namespace}], rules: [{name: all-here, from: [{serviceAccounts: [\"judged/*\"]}]}]}",
    ),
    (
        "AuthPolicy",
        "c-open",
        "{targetRefs: [{kind: Service, name: db}], rules: [{name: everybody}]}",
    ),
    (
        "VirtualRoute",
        "d-nowhere",
        "{parentRefs: [{kind: Service, name: nobody}], http: [{name: r, backendRefs: [{name: nowhere, port: 80}]}]}",
    ),
    (
        "VirtualRoute",
        "e-hidden",
        "{parentRefs: [{kind: Service, name: web}], http: [{name: all, backendRefs: [{name: nowhere, port: 80}]}, {name: never, matches: [{path: {type: Prefix, value: /}}], backendRefs: [{name: web, port: 80}]}]}",
    ),
    (
        "MeshPolicy",
        "f-nobody",
        "{targetRefs: [{kind: Service, name: web, port: 81}], timeouts: {request: 1s}}",
    ),
];

/// What no port could carry, and what a policy may not speak for.
const REFUSED: [(&str, &str, &str); 2] = [
    (
        "AuthPolicy",
        "g-methods-of-tcp",
        "{targetRefs: [{kind: Service, name: db}], rules: [{name: get, from: [{serviceAccounts: [judged/a]}], to: [{methods: [GET]}]}]}",
    ),
    (
        "VirtualRoute",
        "h-http-over-tcp",
        "{parentRefs: [{kind: Service, name: db}], http: [{name: r, backendRefs: [{name: web, port: 80}]}]}",
    ),
];

fn manifest((kind, name, spec): (&str, &str, &str)) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: judged}}\nspec: {spec}\n"
    )
}

pub(crate) async fn objects_are_judged_in_the_words_of_lint(stage: &Stage) {
    apply(stage, PLACE, &[]).await.unwrap();
    apply(stage, SERVICES, &[]).await.unwrap();
    // The operator's own watch has seen them when it can tell that one is not HTTP.
    eventually("the operator knows the Services", async || {
        match apply(stage, &manifest(REFUSED[0]), &["--dry-run=server"]).await {
            Err(_) => Ok(()),
            Ok(said) => Err(format!("it was taken: {said:?}")),
        }
    })
    .await;

    let (mut said, mut slowest) = (BTreeSet::new(), 0.0_f64);
    for own in OWN {
        let started = Instant::now();
        let warnings = in_time(stage, &manifest(own)).await;
        slowest = slowest.max(started.elapsed().as_secs_f64());
        apply(stage, &manifest(own), &[]).await.unwrap();
        let object = format!("{} judged/{}", own.0, own.1);
        for warning in warnings {
            // An object's own problems need not say whose they are.
            let kinds = ["VirtualRoute ", "MeshPolicy ", "AuthPolicy "];
            said.insert(match kinds.iter().any(|kind| warning.starts_with(kind)) {
                true => warning,
                false => format!("{object} {warning}"),
            });
        }
    }
    println!("the slowest `kubectl apply` of an object that is judged: {slowest:.2} s");
    let texts: Vec<String> = OWN.into_iter().map(manifest).collect();
    let linted = lint(stage, &format!("{SERVICES}---\n{}", texts.join("---\n")));
    assert!(linted.len() >= 6, "{linted:#?}");
    assert_eq!(said, linted);

    for refused in REFUSED {
        let why = apply(stage, &manifest(refused), &[])
            .await
            .expect_err("it cannot be enforced");
        let alone = format!("{SERVICES}---\n{}", manifest(refused));
        let object = format!("{} judged/{} ", refused.0, refused.1);
        let linted: Vec<String> = lint(stage, &alone)
            .into_iter()
            .filter_map(|finding| finding.strip_prefix(&object).map(str::to_owned))
            .collect();
        assert!(
            !linted.is_empty() && linted.iter().any(|finding| why.contains(finding)),
            "the API server: {why}\nlint: {linted:#?}"
        );
    }
    pods_without_a_proxy_are_told_of(stage).await;
    a_dry_run_changes_nothing(stage).await;
    everything_may_be_deleted(stage).await;
}

/// What a directory of manifests does not show.
/// What is said of an object before it is there. On a machine that does much else, judging may
/// take longer than anybody waits for it; then it is asked again.
async fn in_time(stage: &Stage, text: &str) -> Vec<String> {
    for _ in 0..20 {
        let warnings = apply(stage, text, &["--dry-run=server"]).await.unwrap();
        if !warnings.iter().any(|warning| warning.starts_with("weft: ")) {
            return warnings;
        }
    }
    panic!("it was never judged in time:\n{text}");
}

async fn pods_without_a_proxy_are_told_of(stage: &Stage) {
    let spec = json!({"containers": [{"name": "app", "image": "app"}]});
    stage
        .create(&pod("judged", "bare", json!({}), spec))
        .await
        .unwrap();
    eventually("the policy of the namespace is warned of", async || {
        let said = apply(stage, &manifest(OWN[1]), &["--dry-run=server"])
            .await
            .unwrap();
        let words = "spec.targetRefs[0]: 1 of 1 selected pods have no proxy (bare)";
        match said.iter().any(|warning| warning.starts_with(words)) {
            true => Ok(()),
            false => Err(format!("{said:?}")),
        }
    })
    .await;
}

async fn a_dry_run_changes_nothing(stage: &Stage) {
    let changed = manifest(OWN[4]).replace("nowhere, port: 80", "elsewhere, port: 80");
    let before = get(stage, "virtualroute/e-hidden").await;
    let said = apply(stage, &changed, &["--dry-run=server"]).await.unwrap();
    assert!(
        said.iter()
            .any(|warning| warning.contains("judged/elsewhere")),
        "{said:?}"
    );
    let after = get(stage, "virtualroute/e-hidden").await;
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(
        before["metadata"]["generation"],
        after["metadata"]["generation"]
    );
    // What the dry run said is not remembered: the old one is judged as before.
    let again = apply(stage, &manifest(OWN[4]), &[]).await.unwrap();
    assert!(
        again
            .iter()
            .all(|warning| !warning.contains("judged/elsewhere")),
        "{again:?}"
    );
}

/// Also what holds on to a finalizer, which is an update first.
async fn everything_may_be_deleted(stage: &Stage) {
    let held = manifest(OWN[3]).replace(
        "namespace: judged}",
        "namespace: judged, finalizers: [example.com/held]}",
    );
    apply(stage, &held, &[]).await.unwrap();
    for (kind, name, _) in OWN {
        let args = ["-n", "judged", "delete", kind, name, "--wait=false"];
        stage.plane.kubectl().run(&args).await.unwrap();
    }
    let release = r#"{"metadata": {"finalizers": null}}"#;
    let args = [
        "-n",
        "judged",
        "patch",
        "virtualroute",
        "d-nowhere",
        "--type=merge",
        "-p",
        release,
    ];
    stage.plane.kubectl().run(&args).await.unwrap();
    eventually("it is gone", async || {
        let args = ["-n", "judged", "get", "virtualroute", "d-nowhere"];
        match stage.plane.kubectl().run(&args).await {
            Err(_) => Ok(()),
            Ok(there) => Err(there.stdout),
        }
    })
    .await;
}

async fn get(stage: &Stage, what: &str) -> Value {
    let args = ["-n", "judged", "get", what, "-o", "json"];
    let printed = stage.plane.kubectl().run(&args).await.unwrap();
    serde_json::from_str(&printed.stdout).unwrap()
}

/// What kubectl shows as warnings, or the error.
async fn apply(stage: &Stage, text: &str, more: &[&str]) -> Result<Vec<String>, String> {
    let mut args = vec!["apply", "--server-side", "-f", "-"];
    args.extend(more);
    let printed = stage.plane.kubectl().run_with_input(&args, text).await;
    let printed = printed.map_err(|error| error.to_string())?;
    let warnings = printed
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("Warning: "));
    Ok(warnings.map(str::to_owned).collect())
}

/// `weft lint -f FILE`, a line for each finding.
fn lint(stage: &Stage, text: &str) -> BTreeSet<String> {
    let file = stage.plane.dir().join("linted.yaml");
    fs::write(&file, text).unwrap();
    let output = Command::new(program("weft"))
        .args(["lint", "-o", "json", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    findings
        .iter()
        .map(|finding| {
            format!(
                "{} {}: {}; {}",
                text(finding, "object"),
                text(finding, "field"),
                text(finding, "message"),
                text(finding, "fix")
            )
        })
        .collect()
}

//! Who may call whom.

use crate::canary::reviews;
use crate::{
    caller::{Answer, Caller},
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-access";
const OUTSIDE: &str = "story-access-outside";

pub(crate) async fn a_denied_caller_learns_the_rule_and_finds_no_way_around(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.namespace(OUTSIDE, false).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(&policy("Strict")).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    let crawler = Caller::create(stage, HERE, "crawler").await?;
    let stranger = Caller::create(stage, HERE, "stranger").await?;
    let outsider = Caller::create(stage, OUTSIDE, "outsider").await?;
    stage.rolled_out(HERE).await?;
    stage.rolled_out(OUTSIDE).await?;
    let service = format!("http://reviews.{HERE}:9080/reviews");

    // From here on the policy is in force.
    eventually("the reader is let in and the crawler is not", async || {
        reader.get(&service).await?.ok()?;
        denied(
            &crawler.get(&service).await?,
            "story-access/no-crawlers/crawler",
        )
    })
    .await?;
    denied(&stranger.get(&service).await?, "story-access/readers/-")?;
    let forbidden = reader
        .get(&format!("http://reviews.{HERE}:9080/ws"))
        .await?;
    denied(&forbidden, "story-access/readers/-")?;

    // Around the name, the port and the host.
    let pods = stage
        .get(&["-n", HERE, "pods", "-l", "app.kubernetes.io/name=reviews"])
        .await?;
    let address = pods["items"][0]["status"]["podIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(!address.is_empty(), "the reviews have no address: {pods:#}");
    for (url, host) in [
        (format!("http://{address}:9080/reviews"), None),
        (service.clone(), Some("Host: storefront.bookstore")),
        (service.clone(), Some("Host: localhost")),
        (
            format!("http://{address}:9080/reviews"),
            Some("Host: nowhere"),
        ),
        (format!("http://{address}:15006/reviews"), None),
        (
            format!("http://{address}:15001/reviews"),
            Some("Host: reviews:9080"),
        ),
    ] {
        for (who, caller) in [("the crawler", &crawler), ("a plaintext caller", &outsider)] {
            let headers: Vec<&str> = host.into_iter().collect();
            let answer = caller.get_with(&url, &headers).await?;
            ensure!(
                answer.status != Some(200),
                "{who} got through at {url} with {host:?}: {answer:?}"
            );
        }
    }
    // A forged word about who calls is not believed.
    let forged = ["x-forwarded-client-cert: URI=spiffe://cluster.local/ns/story-access/sa/reader"];
    denied(
        &crawler.get_with(&service, &forged).await?,
        "story-access/no-crawlers/crawler",
    )?;

    // Under Strict nobody comes in without an identity; under Permissive the rules decide.
    let answer = outsider.get(&service).await?;
    ensure!(
        answer.error.is_some() || answer.status != Some(200),
        "{answer:?}"
    );
    stage.apply(&policy("Permissive")).await?;
    stage
        .run(&["-n", HERE, "delete", "authpolicy", "readers"])
        .await?;
    eventually(
        "under Permissive a plaintext caller is let in",
        async || outsider.get(&service).await?.ok().map(|_| ()),
    )
    .await?;
    denied(
        &crawler.get(&service).await?,
        "story-access/no-crawlers/crawler",
    )
}

/// Refused by a rule that is named, in the header and in words.
fn denied(answer: &Answer, rule: &str) -> Told {
    ensure!(answer.status == Some(403), "not refused: {answer:?}");
    ensure!(
        answer.header("x-weft-denied-by") == rule,
        "refused by {:?}, not by {rule}",
        answer.header("x-weft-denied-by")
    );
    let words = answer.body.as_str().unwrap_or_default();
    let named = rule.split('/').nth(1).unwrap_or_default();
    ensure!(words.contains(named), "{words:?} does not name {named}");
    Ok(())
}

fn policy(mode: &str) -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: mode, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Namespace, name: {HERE}}}]
  mtls: {{mode: {mode}}}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: readers, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Service, name: reviews}}]
  action: Allow
  rules:
  - name: readers
    from:
    - serviceAccounts: [{HERE}/reader, {HERE}/crawler]
    to:
    - methods: [GET]
      paths: [/reviews, /reviews/*]
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: no-crawlers, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Service, name: reviews}}]
  action: Deny
  rules:
  - name: crawler
    from:
    - serviceAccounts: [{HERE}/crawler]
"#
    )
}

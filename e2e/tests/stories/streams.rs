//! Connections that stay while what is known about them changes.

use crate::{
    caller::Caller,
    canary::{now, reviews},
    rollout::ratings,
    stage::{Stage, Told, ensure, eventually},
};

const HERE: &str = "story-streams";

/// How long they stay.
const SECONDS: u32 = 30;

/// A message every 50 ms; half of that on a machine that does something else.
const MESSAGES: u64 = SECONDS as u64 * 20 / 2;

pub(crate) async fn a_change_of_the_config_loses_no_message(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    stage.apply(&ratings(HERE)?).await?;
    let caller = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let http = format!("http://reviews.{HERE}:9080/reviews/1");
    let grpc = format!("grpc://ratings.{HERE}:9090");
    let ws = format!("ws://reviews.{HERE}:9080/ws");
    eventually("both answer", async || {
        caller.get(&http).await?.ok()?;
        caller.get(&grpc).await?.ok().map(|_| ())
    })
    .await?;

    let changes = async {
        let from = now();
        for (edition, denied) in [("1", "/bookstore.v1.Ratings/Get"), ("2", "/other")] {
            stage.apply(&objects(edition, denied)).await?;
            eventually("the change is in force", async || {
                let answer = caller.get(&http).await?;
                ensure!(answer.header("x-edition") == edition, "{answer:?}");
                let denied = caller.get(&grpc).await?.status != Some(200);
                ensure!(denied == (edition == "1"), "gRPC denied: {denied}");
                Ok(())
            })
            .await?;
        }
        let delete = [
            "-n",
            HERE,
            "delete",
            "virtualroutes,meshpolicies,authpolicies",
            "--all",
        ];
        stage.run(&delete).await?;
        eventually("the routes are gone", async || {
            let answer = caller.get(&http).await?;
            ensure!(answer.header("x-edition").is_empty(), "{answer:?}");
            Ok(())
        })
        .await?;
        Ok::<_, String>((from, now()))
    };
    let (changes, streams, sockets) = tokio::join!(
        changes,
        caller.hold(&grpc, 5, SECONDS),
        caller.hold(&ws, 5, SECONDS)
    );
    let (from, to) = changes?;
    for (kind, held) in [("gRPC streams", streams?), ("WebSockets", sockets?)] {
        held.unbroken()?;
        for connection in &held.connections {
            ensure!(
                connection.messages >= MESSAGES,
                "{} messages in {SECONDS} s: {connection:?}",
                connection.messages
            );
            ensure!(
                connection.at + connection.ms > to,
                "the changes came too late to be seen by it: {connection:?}"
            );
        }
        stage.note(format!(
            "streams: 5 {kind}: {} messages, 0 lost, the longest wait {} ms, while routes and policies were written, edited and deleted within {} ms",
            held.messages(),
            held.longest(),
            to - from
        ));
    }
    Ok(())
}

fn objects(edition: &str, denied: &str) -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: reviews, namespace: {HERE}}}
spec:
  parentRefs: [{{kind: Service, name: reviews, port: 9080}}]
  http:
  - name: all
    responseHeaders: {{set: {{x-edition: "{edition}"}}}}
    backendRefs: [{{name: reviews, port: 9080}}]
---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: ratings, namespace: {HERE}}}
spec:
  parentRefs: [{{kind: Service, name: ratings, port: 9090}}]
  http:
  - name: all
    retry: {{attempts: {edition}}}
    backendRefs: [{{name: ratings, port: 9090}}]
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: all, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Namespace, name: {HERE}}}]
  mtls: {{mode: Strict}}
  loadBalancing: {{algorithm: RoundRobin}}
  connectionPool: {{connectTimeout: {edition}s}}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: ratings, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Service, name: ratings}}]
  action: Deny
  rules:
  - name: some
    to: [{{paths: [{denied}]}}]
"#
    )
}

//! Without what controls the mesh.

use std::time::{Duration, Instant};

use crate::{
    caller::{Call, Caller, Load},
    canary::{now, reviews},
    stage::{Stage, Told, ensure, eventually, seconds, text},
    steady::Steady,
};

const HERE: &str = "story-outage";

/// Where a proxy takes its pod's connections.
const OUTBOUND: u16 = 15001;

/// The operator is not on the path of any request, nor of a proxy's start.
pub(crate) async fn traffic_goes_on_without_an_operator(stage: &Stage) -> Told {
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    eventually("the reviews answer", async || {
        reader.get(&url).await?.ok().map(|_| ())
    })
    .await?;

    let outage = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let args = [
            "-n",
            "weft-system",
            "delete",
            "deployment",
            "weft-operator",
            "--wait",
        ];
        stage.run(&args).await?;
        eventually("no operator is left", async || {
            let pods = stage
                .run(&["-n", "weft-system", "get", "pods", "-o", "name"])
                .await?;
            ensure!(pods.trim().is_empty(), "{pods}");
            Ok(())
        })
        .await
    };
    let (load, outage) = tokio::join!(reader.load(&url, 50, 15), outage);
    // Before anything can fail the story: the others need it.
    stage.apply_config().await?;
    stage.rolled_out("weft-system").await?;
    outage?;
    let requests = load?.none_failed()?;
    stage.note(format!(
        "outage: {requests} requests while the operator was deleted, 0 failed"
    ));

    // After its return a change takes effect again.
    a_new_policy_takes_effect(stage, &reader, &url).await
}

/// Neither is the API server; and a proxy that is started while it is away has its last good
/// configuration.
pub(crate) async fn traffic_goes_on_without_an_api_server(stage: &Stage) -> Told {
    let cluster = stage.cluster();
    if cluster.is_current() {
        return stage.not_told("it stops the API server, which only a cluster of its own allows");
    }
    stage.namespace(HERE, true).await?;
    stage.apply(&reviews(HERE)?).await?;
    let reader = Caller::create(stage, HERE, "reader").await?;
    stage.rolled_out(HERE).await?;
    let url = format!("http://reviews.{HERE}:9080/reviews/1");
    let spared = Steady::create(stage, HERE, "spared", &url, 25, 55).await?;
    let struck = Steady::create(stage, HERE, "struck", &url, 25, 55).await?;
    spared.calls().await?;
    struck.calls().await?;

    cluster.stop_api_server().await.map_err(text)?;
    let down = Instant::now();
    // Whatever fails now, the others need it back.
    let outage = without_an_api_server(stage, struck.pod()).await;
    cluster.start_api_server().await.map_err(text)?;
    let lasted = seconds(down);
    eventually("the API server answers", async || {
        stage.run(&["get", "--raw", "/readyz"]).await
    })
    .await?;
    let outage = outage?;

    let requests = spared.ended().await?.none_failed()?;
    let struck = struck.ended().await?;
    let (lost, calls) = outage.told_by(&struck)?;
    stage.note(format!(
        "outage: {requests} requests around {lasted:.0} s without an API server, 0 failed; a proxy killed meanwhile was back {:.1} s later by its last good config ({lost} requests failed until then, 0 of the {calls} after)",
        outage.until_back.as_secs_f32(),
    ));
    // Everything comes together again by itself: the operator, and an edit.
    a_new_policy_takes_effect(stage, &reader, &url).await?;
    stage.rolled_out("weft-system").await
}

/// When a proxy was killed and when its pod's calls were answered again, by its own listeners.
struct Struck {
    killed: u64,
    back: u64,
    until_back: Duration,
}

impl Struck {
    /// The load of its pod: nothing failed but between the two moments. How many did, and how many
    /// requests came after.
    fn told_by(&self, load: &Load) -> Told<(usize, usize)> {
        let failed = |call: &&Call| call.status != Some(200);
        let lost: Vec<&Call> = load.calls.iter().filter(failed).collect();
        // A request that was sent shortly before is cut by the end of the proxy.
        let outside = lost
            .iter()
            .find(|call| call.at + call.ms < self.killed || call.at > self.back);
        ensure!(
            outside.is_none(),
            "a request failed outside the {} ms without a proxy: {:?}",
            self.back - self.killed,
            outside
        );
        let after = load.calls.iter().filter(|call| call.at > self.back).count();
        ensure!(after > 50, "only {after} requests after the proxy's return");
        Ok((lost.len(), after))
    }
}

async fn without_an_api_server(stage: &Stage, pod: &str) -> Told<Struck> {
    ensure!(
        stage.run(&["get", "--raw", "/readyz"]).await.is_err(),
        "the API server still answers"
    );
    let of_the_pod = || {
        let mut proxies = stage.cluster().processes("weft-proxy").into_iter();
        proxies.find(|process| process.pod == pod)
    };
    let before = of_the_pod().ok_or_else(|| format!("{pod} has no proxy"))?;
    let (killed, from) = (now(), Instant::now());
    before.kill().map_err(text)?;
    let after = eventually("the kubelet starts the proxy again", async || {
        of_the_pod()
            .filter(|process| process.pid != before.pid)
            .ok_or_else(|| "there is none".to_owned())
    })
    .await?;
    // Nobody outside can ask a pod without an API server; the proxy's sockets tell.
    eventually("the new proxy listens", async || {
        ensure!(after.listens_on(OUTBOUND), "not yet");
        Ok(())
    })
    .await?;
    let struck = Struck {
        killed,
        back: now(),
        until_back: from.elapsed(),
    };
    // A stretch of traffic in this state.
    tokio::time::sleep(Duration::from_secs(8)).await;
    Ok(struck)
}

async fn a_new_policy_takes_effect(stage: &Stage, reader: &Caller<'_>, url: &str) -> Told {
    // The operator's webhook may be on its way back, too.
    eventually("a policy is accepted", async || {
        stage.apply(&no_readers()).await
    })
    .await?;
    eventually(
        "a policy written after the return is in force",
        async || {
            let answer = reader.get(url).await?;
            ensure!(answer.status == Some(403), "{answer:?}");
            Ok(())
        },
    )
    .await
}

fn no_readers() -> String {
    format!(
        r#"
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {{name: no-readers, namespace: {HERE}}}
spec:
  targetRefs: [{{kind: Service, name: reviews}}]
  action: Deny
  rules:
  - name: reader
    from:
    - serviceAccounts: [{HERE}/reader]
"#
    )
}

//! A pod that calls all the time and writes down what came back, also where nobody can ask it.

use crate::{
    caller::Load,
    stage::{Stage, Told, ensure, eventually},
};

/// A pod whose one container makes requests at a steady rate for some time, then ends.
pub(crate) struct Steady<'a> {
    stage: &'a Stage,
    namespace: String,
    name: &'static str,
}

impl<'a> Steady<'a> {
    /// Creates it.
    pub(crate) async fn create(
        stage: &'a Stage,
        namespace: &str,
        name: &'static str,
        url: &str,
        rate: u32,
        seconds: u32,
    ) -> Told<Self> {
        stage
            .apply(&format!(
                r#"
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  serviceAccountName: {name}
  restartPolicy: Never
  containers:
  - name: caller
    image: weft.dev/caller:dev
    imagePullPolicy: Never
    args: [load, "{url}", "--rate={rate}", "--seconds={seconds}"]
"#
            ))
            .await?;
        Ok(Self {
            stage,
            namespace: namespace.to_owned(),
            name,
        })
    }

    /// The name of the pod.
    pub(crate) fn pod(&self) -> &str {
        self.name
    }

    /// Waits until it has an answer with 200.
    pub(crate) async fn calls(&self) -> Told {
        eventually("the first answer in a steady load", async || {
            let load = self.so_far().await?;
            let answered = load.calls.iter().any(|call| call.status == Some(200));
            ensure!(answered, "{} requests and no 200", load.calls.len());
            Ok(())
        })
        .await
    }

    /// What it has made until now.
    pub(crate) async fn so_far(&self) -> Told<Load> {
        let args = ["-n", &self.namespace, "logs", self.name, "-c", "caller"];
        Load::read(&self.stage.run(&args).await?)
    }

    /// Waits for its end; everything that it has made.
    pub(crate) async fn ended(&self) -> Told<Load> {
        let pod = format!("pod/{}", self.name);
        let args = [
            "-n",
            &self.namespace,
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            &pod,
            "--timeout=85s",
        ];
        self.stage.run(&args).await?;
        self.so_far().await
    }
}

//! A pod that calls, with a service account of its own.

mod answers;

use std::{cell::Cell, time::Duration};

use serde_json::Value;

use answers::lines_of;
pub(crate) use answers::{Answer, Call, Held, Load};

use crate::stage::{BOUND, Stage, Told, text};

/// A Deployment of one pod of the client image.
pub(crate) struct Caller<'a> {
    stage: &'a Stage,
    namespace: String,
    name: String,
}

impl<'a> Caller<'a> {
    /// Creates it; [`Stage::rolled_out`] waits for it.
    pub(crate) async fn create(stage: &'a Stage, namespace: &str, name: &str) -> Told<Self> {
        stage.apply(&manifest(namespace, name)).await?;
        Ok(Self::of(stage, namespace, name))
    }

    /// A Deployment that is there, with a container of the client image called `caller`.
    pub(crate) fn of(stage: &'a Stage, namespace: &str, name: &str) -> Self {
        Self {
            stage,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// As [`Self::create`], in a pod that shows its processes to the caller, which may signal them.
    pub(crate) async fn create_with_power_over_its_proxy(
        stage: &'a Stage,
        namespace: &str,
        name: &str,
    ) -> Told<Self> {
        let manifest = manifest(namespace, name)
            .replace(
                "      containers:\n",
                "      shareProcessNamespace: true\n      containers:\n",
            )
            .replace(
                "        args: [stay]\n",
                "        args: [stay]\n        securityContext: {runAsUser: 0}\n",
            );
        stage.apply(&manifest).await?;
        Ok(Self {
            stage,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Sends its own proxy a signal: `stop` or `cont`.
    pub(crate) async fn signal_proxy(&self, signal: &str) -> Told {
        self.exec(&["signal", signal, "weft-proxy"]).await.map(drop)
    }

    /// `GET url`.
    pub(crate) async fn get(&self, url: &str) -> Told<Answer> {
        self.get_with(url, &[]).await
    }

    /// `GET url` with headers, each `name: value`.
    pub(crate) async fn get_with(&self, url: &str, headers: &[&str]) -> Told<Answer> {
        let mut args = vec!["get", url];
        for header in headers {
            args.extend(["-H", header]);
        }
        let printed = self.exec(&args).await?;
        serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))
    }

    /// `GET url` over TLS, trusting one certificate.
    pub(crate) async fn get_securely(
        &self,
        url: &str,
        root: &str,
        headers: &[&str],
    ) -> Told<Answer> {
        // PEM begins as an option would.
        let root = format!("--root={root}");
        let mut args = vec!["get", url, &root];
        for header in headers {
            args.extend(["-H", header]);
        }
        let printed = self.exec(&args).await?;
        serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))
    }

    /// What the server says first and what it echoes, or the error.
    pub(crate) async fn tcp(&self, address: &str) -> Told<Value> {
        serde_json::from_str(&self.exec(&["tcp", address]).await?).map_err(text)
    }

    /// A line each second over one connection, for some time: how many came back, or the error.
    pub(crate) async fn talk(&self, address: &str, seconds: u32) -> Told<Value> {
        let bound = Duration::from_secs(u64::from(seconds) + 60);
        let seconds = seconds.to_string();
        let args = ["talk", address, "--seconds", &seconds];
        serde_json::from_str(&self.exec_within(&args, bound).await?).map_err(text)
    }

    /// Requests at a steady rate for some time.
    pub(crate) async fn load(&self, url: &str, rate: u32, seconds: u32) -> Told<Load> {
        self.load_with(url, &[], rate, seconds).await
    }

    /// The same with more arguments.
    async fn load_with(&self, url: &str, more: &[&str], rate: u32, seconds: u32) -> Told<Load> {
        let (rate, seconds) = (rate.to_string(), seconds.to_string());
        let mut args = vec!["load", url, "--rate", &rate, "--seconds", &seconds];
        args.extend(more);
        Load::read(&self.exec(&args).await?)
    }

    /// Requests at a steady rate until some time after `ended` is set.
    pub(crate) async fn load_until(
        &self,
        ended: &Cell<bool>,
        url: &str,
        more: &[&str],
        rate: u32,
    ) -> Told<Load> {
        let mut all = Load { calls: Vec::new() };
        while !ended.get() {
            let load = self.load_with(url, more, rate, PART).await?;
            all.calls.extend(load.calls);
        }
        Ok(all)
    }

    /// Keeps connections on which messages come all the time.
    pub(crate) async fn hold(&self, url: &str, connections: u32, seconds: u32) -> Told<Held> {
        let (count, seconds) = (connections.to_string(), seconds.to_string());
        let args = ["hold", url, "--connections", &count, "--seconds", &seconds];
        Ok(Held {
            wanted: connections,
            connections: lines_of(&self.exec(&args).await?)?,
        })
    }

    /// The same until some time after `ended` is set. In parts, each of new connections.
    pub(crate) async fn hold_until(
        &self,
        ended: &Cell<bool>,
        url: &str,
        connections: u32,
    ) -> Told<Vec<Held>> {
        let mut parts = Vec::new();
        while !ended.get() {
            parts.push(self.hold(url, connections, 2 * PART).await?);
        }
        Ok(parts)
    }

    /// The sum of a metric of its proxy, over the series with a label; over all where it is empty.
    pub(crate) async fn proxy_counts(&self, metric: &str, label: &str) -> Told<f64> {
        let answer = self.get("http://127.0.0.1:15020/metrics").await?;
        let metrics = answer.ok()?.as_str().unwrap_or_default();
        let samples = metrics.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let is_it = name.split('{').next() == Some(metric) && name.contains(label);
            is_it.then(|| value.parse::<f64>().ok()).flatten()
        });
        Ok(samples.sum())
    }

    /// The access log of its proxy.
    pub(crate) async fn proxy_log(&self) -> Told<Vec<Value>> {
        let deployment = format!("deployment/{}", self.name);
        let args = [
            "-n",
            &self.namespace,
            "logs",
            &deployment,
            "-c",
            "weft-proxy",
        ];
        let printed = self.stage.run(&args).await?;
        let lines = printed
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(lines.collect())
    }

    async fn exec(&self, args: &[&str]) -> Told<String> {
        self.exec_within(args, BOUND).await
    }

    async fn exec_within(&self, args: &[&str], bound: Duration) -> Told<String> {
        let deployment = format!("deployment/{}", self.name);
        let mut all = vec![
            "-n",
            &self.namespace,
            "exec",
            &deployment,
            "-c",
            "caller",
            "--",
            "/caller",
        ];
        all.extend(args);
        self.stage.run_within(&all, bound).await
    }
}

/// Seconds of a load whose end is not known when it begins.
const PART: u32 = 10;

fn manifest(namespace: &str, name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      serviceAccountName: {name}
      terminationGracePeriodSeconds: 5
      containers:
      - name: caller
        image: weft.dev/caller:dev
        imagePullPolicy: Never
        args: [stay]
"#
    )
}

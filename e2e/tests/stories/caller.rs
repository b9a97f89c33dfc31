//! A pod that calls, with a service account of its own.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::stage::{BOUND, Stage, Told, ensure, text};

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

fn lines_of<T: DeserializeOwned>(printed: &str) -> Told<Vec<T>> {
    let lines = printed.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().map_err(text)
}

/// What came back.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) headers: serde_json::Map<String, Value>,
    #[serde(default)]
    pub(crate) body: Value,
    pub(crate) error: Option<String>,
}

impl Answer {
    /// The body of a 200.
    pub(crate) fn ok(&self) -> Told<&Value> {
        ensure!(self.status == Some(200), "no 200: {self:?}");
        Ok(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(Value::as_str).unwrap_or("")
    }
}

/// One request of a load.
#[derive(Debug, Deserialize)]
pub(crate) struct Call {
    /// When it was sent, in milliseconds of Unix time.
    pub(crate) at: u64,
    pub(crate) ms: u64,
    pub(crate) status: Option<u16>,
    pub(crate) flag: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) error: Option<String>,
}

impl Call {
    pub(crate) fn how(&self) -> String {
        let status = self
            .status
            .map_or("no status".to_owned(), |status| status.to_string());
        let flag = self.flag.as_deref().unwrap_or("-");
        let error = self.error.as_deref().unwrap_or("-");
        format!("{status} after {} ms (flag {flag}, error {error})", self.ms)
    }
}

pub(crate) struct Load {
    pub(crate) calls: Vec<Call>,
}

impl Load {
    /// Reads the lines that the client prints, one for each request.
    pub(crate) fn read(lines: &str) -> Told<Self> {
        let mut calls: Vec<Call> = lines_of(lines)?;
        calls.sort_by_key(|call| call.at);
        Ok(Self { calls })
    }

    /// Those that were not answered with 200.
    pub(crate) fn failed(&self) -> Vec<&Call> {
        let failed = self.calls.iter().filter(|call| call.status != Some(200));
        failed.collect()
    }

    /// The pods that answered.
    pub(crate) fn instances(&self) -> BTreeSet<&str> {
        let instances = self
            .calls
            .iter()
            .filter_map(|call| call.instance.as_deref());
        instances.collect()
    }

    /// Every request was answered with 200; says how many there were.
    pub(crate) fn none_failed(&self) -> Told<usize> {
        let failed = self.failed();
        let first: Vec<String> = failed.iter().take(5).map(|call| call.how()).collect();
        ensure!(
            failed.is_empty(),
            "{} of {} requests failed, the first: {}",
            failed.len(),
            self.calls.len(),
            first.join("; ")
        );
        ensure!(!self.calls.is_empty(), "there was no request");
        Ok(self.calls.len())
    }

    /// How many of the requests sent between two moments a version answered, in percent.
    pub(crate) fn share(&self, version: &str, from: u64, to: u64) -> f64 {
        let sent: Vec<&Call> = self
            .calls
            .iter()
            .filter(|call| (from..to).contains(&call.at))
            .collect();
        let by_it = sent
            .iter()
            .filter(|call| call.version.as_deref() == Some(version))
            .count();
        100.0 * by_it as f64 / sent.len().max(1) as f64
    }

    /// The slowest of a share of the requests, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let mut times: Vec<u64> = self.calls.iter().map(|call| call.ms).collect();
        times.sort_unstable();
        let index = (times.len() as f64 * share) as usize;
        times.get(index).or(times.last()).copied().unwrap_or(0)
    }
}

/// One connection that stayed for a while.
#[derive(Debug, Deserialize)]
pub(crate) struct Connection {
    /// Which of those that are kept at once: the next with the same number took its place.
    pub(crate) connection: u32,
    /// When it was opened, in milliseconds of Unix time.
    pub(crate) at: u64,
    pub(crate) ms: u64,
    pub(crate) messages: u64,
    pub(crate) lost: u64,
    /// The longest wait for a message, in milliseconds.
    pub(crate) longest: u64,
    /// The caller ended it itself, for its time was over.
    pub(crate) by_caller: bool,
    pub(crate) error: Option<String>,
}

pub(crate) struct Held {
    wanted: u32,
    pub(crate) connections: Vec<Connection>,
}

impl Held {
    /// No connection ended before its time, and no message was lost.
    pub(crate) fn unbroken(&self) -> Told {
        for connection in &self.connections {
            ensure!(
                connection.by_caller && connection.lost == 0,
                "a connection did not last: {connection:?}"
            );
        }
        ensure!(
            self.connections.len() == self.wanted as usize,
            "{} connections instead of {}",
            self.connections.len(),
            self.wanted
        );
        Ok(())
    }

    /// Whatever ended was opened again: at the end all are there.
    pub(crate) fn all_there_at_the_end(&self) -> Told {
        for number in 0..self.wanted {
            let own = |connection: &&Connection| connection.connection == number;
            let last = self.connections.iter().filter(own).max_by_key(|it| it.at);
            ensure!(
                last.is_some_and(|last| last.by_caller && last.messages > 0),
                "connection {number} was not there at the end: {last:?}"
            );
        }
        Ok(())
    }

    /// Connections that ended before their time after messages had come.
    pub(crate) fn cut(&self) -> usize {
        let cut = self.connections.iter();
        cut.filter(|it| !it.by_caller && it.messages > 0).count()
    }

    /// Attempts to open one that failed.
    pub(crate) fn not_opened(&self) -> Vec<&Connection> {
        let none = |it: &&Connection| it.messages == 0 && !it.by_caller;
        self.connections.iter().filter(none).collect()
    }

    pub(crate) fn messages(&self) -> u64 {
        self.connections.iter().map(|it| it.messages).sum()
    }

    /// The longest wait for a message, in milliseconds.
    pub(crate) fn longest(&self) -> u64 {
        let waits = self.connections.iter().map(|it| it.longest);
        waits.max().unwrap_or(0)
    }
}

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

//! A pod that calls, with a service account of its own.

use std::time::Duration;

use serde::Deserialize;
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
        Ok(Self {
            stage,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
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
        let (rate, seconds) = (rate.to_string(), seconds.to_string());
        let args = ["load", url, "--rate", &rate, "--seconds", &seconds];
        Load::read(&self.exec(&args).await?)
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
    pub(crate) error: Option<String>,
}

impl Call {
    fn how(&self) -> String {
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
        let calls: Result<Vec<Call>, _> = lines.lines().map(serde_json::from_str).collect();
        let mut calls = calls.map_err(text)?;
        calls.sort_by_key(|call| call.at);
        Ok(Self { calls })
    }

    /// Every request was answered with 200; says how many there were.
    pub(crate) fn none_failed(&self) -> Told<usize> {
        let failed: Vec<&Call> = self
            .calls
            .iter()
            .filter(|call| call.status != Some(200))
            .collect();
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

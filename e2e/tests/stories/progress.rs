//! What a status says over time, as `kubectl get --watch` prints it.

use std::time::Instant;

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::stage::{BOUND, Stage, Told, text};

/// What is printed of each change, in this order.
const COLUMNS: &str = r#"{.metadata.generation}{" "}{.status.conditions[?(@.type=="Programmed")].observedGeneration}{" "}{.status.conditions[?(@.type=="Programmed")].status}{" "}{.status.proxies.active}{" "}{.status.proxies.total}{"\n"}"#;

/// One object's progress.
pub(crate) struct Progress {
    lines: Lines<BufReader<ChildStdout>>,
    /// Ends with it.
    _watch: Child,
    /// The last generation that every proxy had.
    reached: i64,
    last: String,
}

impl Progress {
    /// Follows an object.
    pub(crate) fn follow(stage: &Stage, namespace: &str, kind: &str, name: &str) -> Told<Self> {
        let output = format!("jsonpath={COLUMNS}");
        let args = ["-n", namespace, "get", kind, name, "--watch", "-o", &output];
        let mut watch = stage.kubectl().watch(&args).map_err(text)?;
        let stdout = watch.stdout.take().ok_or("kubectl has no output")?;
        Ok(Self {
            lines: BufReader::new(stdout).lines(),
            _watch: watch,
            reached: -1,
            last: "nothing yet".to_owned(),
        })
    }

    /// Waits until so many proxies, and all of them, have the object; gives when that was said.
    pub(crate) async fn until_all_of(&mut self, proxies: usize) -> Told<Instant> {
        self.until(proxies, |_, _| true).await
    }

    /// As [`Self::until_all_of`], of a newer generation than the last that every proxy had.
    pub(crate) async fn until_next(&mut self, proxies: usize) -> Told<Instant> {
        self.until(proxies, |reached, now| now > reached).await
    }

    async fn until(&mut self, proxies: usize, is_new: impl Fn(i64, i64) -> bool) -> Told<Instant> {
        let wait = async {
            while let Some(line) = self.lines.next_line().await.map_err(text)? {
                let all = reached(&line, proxies);
                self.last = line;
                if let Some(generation) = all
                    && is_new(self.reached, generation)
                {
                    self.reached = generation;
                    return Ok(Instant::now());
                }
            }
            Err("kubectl stopped watching".to_owned())
        };
        match tokio::time::timeout(BOUND, wait).await {
            Ok(said) => said,
            Err(_) => Err(format!(
                "not on {proxies} of {proxies} proxies within {BOUND:?}; last: {}",
                self.last
            )),
        }
    }
}

/// The generation that so many proxies, and all of them, have.
fn reached(line: &str, proxies: usize) -> Option<i64> {
    let words: Vec<&str> = line.split(' ').collect();
    let [generation, observed, "True", active, total] = words.as_slice() else {
        return None;
    };
    let generation = generation.parse().ok()?;
    let is_all = active == total && active.parse() == Ok(proxies);
    (observed.parse() == Ok(generation) && is_all).then_some(generation)
}

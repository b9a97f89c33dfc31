//! What callers print: answers, loads, connections that stayed.

use std::collections::BTreeSet;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::stage::{Told, ensure, text};

pub(super) fn lines_of<T: DeserializeOwned>(printed: &str) -> Told<Vec<T>> {
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
    pub(super) wanted: u32,
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

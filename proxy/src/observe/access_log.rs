//! The access log: one JSON line per request or TCP connection, formatted and written off the
//! request path. A full queue drops lines and counts them: the log never slows the traffic.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use weft_engine::identity::SpiffeId;

use super::Counter;

/// Lines that may wait to be written.
const QUEUE: usize = 16_384;

/// One request or TCP connection. Fields that do not apply stay `None` and are left out.
#[derive(Debug, Serialize)]
pub struct AccessRecord {
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// `outbound`, `inbound` or `gateway`.
    pub direction: &'static str,
    /// `http/1.1`, `http/2`, `grpc` or `tcp`.
    pub protocol: &'static str,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Host or `:authority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The path as it came, without the query (which may hold secrets).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The response's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The gRPC status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u16>,
    /// Why a refusal or failure happened: `denied_by`, `upstream_reset`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<&'static str>,
    /// What decided it: `namespace/policy/rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What Shadow and Audit policies had to say: `namespace/policy/rule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<String>,
    /// From begin to end.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// From the first attempt's begin to the response's head.
    #[serde(
        rename = "upstream_ms",
        serialize_with = "optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub upstream: Option<Duration>,
    /// Bytes from the client.
    pub request_bytes: u64,
    /// Bytes to the client.
    pub response_bytes: u64,
    /// Attempts, the first included; 0 when nothing was tried.
    pub attempts: u32,
    /// The directly connected peer.
    pub source: Option<SocketAddr>,
    /// Its proven identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<Arc<SpiffeId>>,
    /// `namespace/service:port`, or the application's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The identity that the endpoint proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_identity: Option<Arc<SpiffeId>>,
    /// The rule that routed it: `namespace/route/rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The endpoint that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<SocketAddr>,
    /// The trace id of `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl AccessRecord {
    /// A record that began now and says nothing else yet.
    pub fn new(direction: &'static str, protocol: &'static str) -> Self {
        Self {
            time: SystemTime::now(),
            direction,
            protocol,
            method: None,
            authority: None,
            path: None,
            status: None,
            grpc_status: None,
            flag: None,
            rule: None,
            shadow: Vec::new(),
            duration: Duration::ZERO,
            upstream: None,
            request_bytes: 0,
            response_bytes: 0,
            attempts: 0,
            source: None,
            source_identity: None,
            destination: None,
            destination_identity: None,
            route: None,
            endpoint: None,
            trace_id: None,
        }
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    match OffsetDateTime::from(*time).format(&Rfc3339) {
        Ok(text) => serializer.serialize_str(&text),
        Err(error) => Err(serde::ser::Error::custom(error)),
    }
}

// serde's serialize_with passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_micros() as f64 / 1e3)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn optional_millis<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    millis(&duration.unwrap_or_default(), serializer)
}

/// Where the lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: records are not even queued.
    Off,
    /// Standard output.
    #[default]
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// What the writing thread is told.
#[derive(Debug)]
enum Entry {
    Record(Box<AccessRecord>),
    /// Answer once everything before is written.
    Flush(SyncSender<()>),
}

/// A handle on the queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: Option<SyncSender<Entry>>,
    dropped: Counter,
}

impl AccessLog {
    /// Opens the destination and starts the writing thread.
    pub fn start(destination: &Destination, dropped: Counter) -> io::Result<Self> {
        let out: Box<dyn Write + Send> = match destination {
            Destination::Off => {
                return Ok(Self {
                    queue: None,
                    dropped,
                });
            }
            Destination::Stdout => Box::new(io::stdout()),
            Destination::File(path) => {
                Box::new(OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        let (queue, entries) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_entries(&entries, BufWriter::with_capacity(64 * 1024, out)))?;
        Ok(Self {
            queue: Some(queue),
            dropped,
        })
    }

    /// Whether records are wanted: lets the caller skip building them.
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Queues a record; drops and counts it when the queue is full.
    pub fn log(&self, record: AccessRecord) {
        if let Some(queue) = &self.queue
            && queue.try_send(Entry::Record(Box::new(record))).is_err()
        {
            self.dropped.inc();
        }
    }

    /// Waits until what was queued is written, at most a second.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if let Some(queue) = &self.queue
            && queue.try_send(Entry::Flush(done)).is_ok()
        {
            let _ = written.recv_timeout(Duration::from_secs(1));
        }
    }
}

fn write_entries(entries: &Receiver<Entry>, mut out: impl Write) {
    // Ends when the last handle is dropped. A line that cannot be written (a closed pipe, a
    // full disk) is lost: there is no better place to say so than the one that failed.
    while let Ok(entry) = entries.recv() {
        let mut next = Some(entry);
        while let Some(entry) = next {
            match entry {
                Entry::Record(record) => {
                    let _ = write_line(&mut out, &record);
                }
                Entry::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.try_send(());
                }
            }
            next = entries.try_recv().ok();
        }
        let _ = out.flush();
    }
}

fn write_line(out: &mut impl Write, record: &AccessRecord) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

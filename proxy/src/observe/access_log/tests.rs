use std::{
    io::{self, Write},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use serde_json::{Value, json};

use super::{AccessLog, AccessRecord, Towards, clock};
use crate::observe::Counter;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

fn record<'a>() -> AccessRecord<'a> {
    AccessRecord::new("inbound", "http/1.1", "127.0.0.1:4711".parse().unwrap())
}

#[test]
fn a_line_is_json_and_says_everything_whatever_clients_write() {
    let identity = "spiffe://cluster.local/ns/shop/sa/web".parse().unwrap();
    let shadow = ["shop/new/a".to_owned(), "shop/new/b".to_owned()];
    let record = AccessRecord {
        method: Some("GET"),
        authority: Some("re\"views\\"),
        path: Some("/\u{1}ü"),
        status: Some(200),
        shadow: &shadow,
        duration: Duration::from_micros(12_034),
        upstream: Some(Duration::from_micros(5)),
        request_bytes: 3,
        response_bytes: u64::MAX,
        attempts: 2,
        source: "[fd00::1]:80".parse().unwrap(),
        source_identity: Some(&identity),
        destination: Some(Towards::Service("shop", "reviews", 9080)),
        route: Some("shop/reviews/rest"),
        endpoint: Some("10.0.200.7:65535".parse().unwrap()),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c"),
        ..record()
    };
    let mut line = Vec::new();
    record.write(&mut line);
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let mut line: Value = serde_json::from_slice(&line).unwrap();
    let time = line.as_object_mut().unwrap().remove("time").unwrap();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    let expected = json!({
        "direction": "inbound", "protocol": "http/1.1", "method": "GET",
        "authority": "re\"views\\", "path": "/\u{1}ü", "status": 200,
        "shadow": ["shop/new/a", "shop/new/b"], "duration_ms": 12.034, "upstream_ms": 0.005,
        "request_bytes": 3, "response_bytes": u64::MAX, "attempts": 2,
        "source": "[fd00::1]:80",
        "source_identity": "spiffe://cluster.local/ns/shop/sa/web",
        "destination": "shop/reviews:9080", "route": "shop/reviews/rest",
        "endpoint": "10.0.200.7:65535", "trace_id": "0af7651916cd43dd8448eb211c80319c",
    });
    assert_eq!(line, expected);
}

#[test]
fn times_are_told_to_the_microsecond() {
    for (micros, text) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_521_599_999_999, "2026-11-24T11:59:59.999999Z"),
        (1_795_521_600_000_001, "2026-11-24T12:00:00.000001Z"),
    ] {
        let mut out = Vec::new();
        clock::write(&mut out, Duration::from_micros(micros));
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}

#[test]
fn lines_of_every_thread_are_written_once_and_whole() {
    let kept = Kept::default();
    let log = AccessLog::to(Box::new(kept.clone()), Counter::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let log = log.for_thread();
            scope.spawn(move || {
                for number in 0..500 {
                    log.log(&AccessRecord {
                        request_bytes: thread * 1000 + number,
                        ..record()
                    });
                }
            });
        }
    });
    log.flush();
    let mut seen: Vec<_> = kept
        .lines()
        .iter()
        .map(|line| line["request_bytes"].as_u64())
        .collect();
    seen.sort_unstable();
    let expected =
        (0..4).flat_map(|thread| (0..500).map(move |number| Some(thread * 1000 + number)));
    assert!(seen.into_iter().eq(expected));
}

/// Writes nothing before it is told to.
struct Stuck(mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv_timeout(Duration::from_secs(10));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_destination_that_takes_nothing_costs_lines_and_no_time() {
    let (go_on, stuck) = mpsc::channel();
    let dropped = Counter::default();
    let log = AccessLog::to(Box::new(Stuck(stuck)), dropped.clone()).unwrap();
    let path = "/x".repeat(4096);
    let record = AccessRecord {
        path: Some(&path),
        ..record()
    };
    for _ in 0..600 {
        log.log(&record);
    }
    let lost = dropped.get();
    assert!((50..400).contains(&lost), "{lost}");
    drop(go_on);
}

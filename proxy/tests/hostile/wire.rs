use std::time::Duration;

use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use crate::site::{BOUND, Connection, Door, Site};

/// How long after an answer more may come: a second response, or the close.
const AFTERMATH: Duration = Duration::from_millis(250);

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status of each response.
    pub statuses: Vec<u16>,
    pub bytes: Vec<u8>,
    pub closed: bool,
}

impl Answer {
    /// A client error, an unsupported version, or nothing but a close.
    pub fn is_refusal(&self) -> bool {
        match self.statuses.as_slice() {
            [] => self.closed,
            statuses => statuses.iter().all(|status| is_refusal(*status)),
        }
    }

    pub fn text(&self) -> String {
        let shown = self.bytes.get(..400).unwrap_or(&self.bytes);
        String::from_utf8_lossy(shown).into_owned()
    }
}

pub fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499 | 501 | 505)
}

pub fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// Sends `bytes` and reads until the peer closes, or has answered and says nothing more.
pub async fn exchange(connection: Connection, bytes: &[u8]) -> Answer {
    let (mut reader, mut writer) = tokio::io::split(connection);
    // A peer that refuses early stops reading: the rest cannot be written, which is no matter.
    let write = async {
        let _ = writer.write_all(bytes).await;
        let _ = writer.flush().await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut answer = Answer::default();
        let mut buffer = vec![0; 64 * 1024];
        let mut end = Instant::now() + BOUND;
        loop {
            match timeout_at(end, reader.read(&mut buffer)).await {
                Err(_) => break,
                Ok(Ok(0) | Err(_)) => {
                    answer.closed = true;
                    break;
                }
                Ok(Ok(read)) => answer.bytes.extend_from_slice(&buffer[..read]),
            }
            answer.statuses = statuses(&answer.bytes);
            if answer.statuses.iter().any(|status| *status >= 200) {
                end = Instant::now() + AFTERMATH;
            }
        }
        answer
    };
    tokio::select! {
        answer = read => answer,
        () = write => unreachable!("the writer only waits"),
    }
}

fn statuses(bytes: &[u8]) -> Vec<u16> {
    let begin = b"HTTP/1.";
    bytes
        .windows(12)
        .filter(|window| window.starts_with(begin) && window[8] == b' ')
        .filter_map(|window| std::str::from_utf8(&window[9..12]).ok()?.parse().ok())
        .collect()
}

/// One attack: its name, and its bytes for a host.
pub type Case = (&'static str, fn(host: &str) -> Vec<u8>);

/// Sends every case to every door; each must be refused there, and the door must serve a good
/// request afterwards. Gives what went wrong.
pub async fn refused_everywhere(site: &Site, doors: &[Door], cases: &[Case]) -> Vec<String> {
    everywhere(site, doors, cases, |answer| answer.is_refusal()).await
}

/// The same with another judgement.
pub async fn everywhere(
    site: &Site,
    doors: &[Door],
    cases: &[Case],
    is_right: impl Fn(&Answer) -> bool + Copy,
) -> Vec<String> {
    let pairs: Vec<_> = doors
        .iter()
        .flat_map(|door| cases.iter().map(move |case| (*door, *case)))
        .collect();
    futures::stream::iter(pairs)
        .map(|(door, (what, bytes))| async move {
            let bytes = bytes(Site::host(door));
            let begin = Instant::now();
            let answer = exchange(site.connect(door).await, &bytes).await;
            if !is_right(&answer) {
                return Some(format!(
                    "{door:?}, {what}: {:?} closed={} after {:?}: {:?}",
                    answer.statuses,
                    answer.closed,
                    begin.elapsed(),
                    answer.text()
                ));
            }
            let after = site.serves(door).await;
            after.err().map(|error| format!("after {what}: {error}"))
        })
        .buffer_unordered(16)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await
}

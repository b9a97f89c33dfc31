use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use crate::{
    site::{BOUND, Connection},
    wire::is_refusal,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A field of a header block.
pub type Field<'a> = (&'a str, &'a str);

/// One frame (RFC 9113 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block of literals that no table keeps (RFC 7541 6.2.2): any bytes go.
pub fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A length with a prefix of 7 bits (RFC 7541 5.1).
fn integer(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return block.push(value as u8);
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The preface and our SETTINGS.
pub fn preface() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// The fields of a good GET.
pub fn good<'a>(host: &'a str, path: &'a str) -> Vec<Field<'a>> {
    vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", host),
        (":path", path),
    ]
}

/// A connection's bytes with one request of these fields and no body.
pub fn request(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = preface();
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)));
    bytes
}

/// The same with a body.
pub fn request_with_body(fields: &[Field<'_>], body: &[u8]) -> Vec<u8> {
    let mut bytes = preface();
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &block(fields)));
    bytes.extend(frame(DATA, END_STREAM, 1, body));
    bytes
}

pub fn get(host: &str, path: &str) -> Vec<u8> {
    request(&good(host, path))
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// `(stream, status)`; status 0 where it cannot be read.
    pub statuses: Vec<(u32, u16)>,
    /// `(stream, error code)`.
    pub resets: Vec<(u32, u32)>,
    /// The error code of a GOAWAY.
    pub goaway: Option<u32>,
    pub closed: bool,
    pub bytes: usize,
}

impl Answer {
    /// Of the first response.
    pub fn status(&self) -> Option<u16> {
        self.statuses.first().map(|(_, status)| *status)
    }

    /// A client error, a reset, an error of the connection, or a close.
    pub fn is_refusal(&self) -> bool {
        match self.status() {
            Some(status) => is_refusal(status),
            None => {
                self.closed || !self.resets.is_empty() || self.goaway.is_some_and(|code| code > 0)
            }
        }
    }

    fn is_over(&self) -> bool {
        !self.statuses.is_empty() || !self.resets.is_empty() || self.goaway.is_some()
    }
}

/// Sends `bytes` and reads until the connection or its first stream has ended.
pub async fn exchange(connection: Connection, bytes: &[u8]) -> Answer {
    const AFTERMATH: Duration = Duration::from_millis(150);
    let (mut reader, mut writer) = tokio::io::split(connection);
    let write = async {
        let _ = writer.write_all(bytes).await;
        let _ = writer.flush().await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut answer = Answer::default();
        let mut unread = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut end = Instant::now() + BOUND;
        loop {
            match timeout_at(end, reader.read(&mut buffer)).await {
                Err(_) => break,
                Ok(Ok(0) | Err(_)) => {
                    answer.closed = true;
                    break;
                }
                Ok(Ok(read)) => {
                    answer.bytes += read;
                    unread.extend_from_slice(&buffer[..read]);
                }
            }
            take_frames(&mut unread, &mut answer);
            if answer.is_over() {
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

fn take_frames(unread: &mut Vec<u8>, answer: &mut Answer) {
    loop {
        let Some(head) = unread.first_chunk::<9>() else {
            return;
        };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, stream) = (
            head[3],
            u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        );
        if unread.len() < 9 + length {
            return;
        }
        let frame: Vec<u8> = unread.drain(..9 + length).collect();
        let payload = &frame[9..];
        let code = |at: usize| {
            let code = payload
                .get(at..at + 4)
                .and_then(|code| code.try_into().ok());
            code.map_or(u32::MAX, u32::from_be_bytes)
        };
        match kind {
            HEADERS => answer.statuses.push((stream, status(payload))),
            RST_STREAM => answer.resets.push((stream, code(0))),
            GOAWAY => answer.goaway = Some(code(4)),
            _ => {}
        }
    }
}

/// The status that begins a response's header block.
fn status(block: &[u8]) -> u16 {
    let mut bytes = block.iter().copied().skip_while(|byte| byte >> 5 == 1);
    match bytes.next() {
        Some(indexed @ 0x88..=0x8e) => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
        }
        // A literal of the name `:status`.
        Some(0x48 | 0x08 | 0x18) => {
            let Some(length) = bytes.next() else { return 0 };
            let value: Vec<u8> = bytes.take(usize::from(length & 0x7f)).collect();
            if length & 0x80 == 0 {
                let text = String::from_utf8(value).unwrap_or_default();
                return text.parse().unwrap_or_default();
            }
            huffman_digits(&value)
        }
        _ => 0,
    }
}

/// Three digits in the code of RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 have six.
fn huffman_digits(value: &[u8]) -> u16 {
    let bits: Vec<u8> = value
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let number = |bits: &[u8]| {
        bits.iter()
            .fold(0_u16, |number, bit| number * 2 + u16::from(*bit))
    };
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let Some(five) = bits.get(at..at + 5) else {
            return 0;
        };
        let (digit, length) = match number(five) {
            digit @ 0..=2 => (digit, 5),
            _ => match bits.get(at..at + 6).map(number) {
                Some(code @ 0x19..=0x1f) => (code - 0x19 + 3, 6),
                _ => return 0,
            },
        };
        status = status * 10 + digit;
        at += length;
    }
    status
}

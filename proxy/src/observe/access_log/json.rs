//! A JSON object on one line, appended member by member. Numbers, addresses and texts without
//! anything to escape are copied as they are; what needs an escape goes through serde_json.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_first: true,
        }
    }

    /// Ends the object and its line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        let before: &[u8] = if self.is_first { b"\"" } else { b",\"" };
        self.is_first = false;
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text of which the caller knows that nothing in it needs an escape.
    pub(super) fn plain(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let out = self.name(name);
        out.push(b'"');
        write(out);
        out.push(b'"');
    }

    pub(super) fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            write_text(self.name(name), text);
        }
    }

    /// Left out when it is empty.
    pub(super) fn list(&mut self, name: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        let out = self.name(name);
        for (at, text) in texts.iter().enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            write_text(out, text);
        }
        out.push(b']');
    }

    pub(super) fn number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            write_number(self.name(name), number);
        }
    }

    /// Milliseconds, to the microsecond.
    pub(super) fn millis(&mut self, name: &str, duration: Option<Duration>) {
        let Some(duration) = duration else { return };
        let out = self.name(name);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        write_number(out, micros / 1000);
        out.push(b'.');
        write_digits(out, micros % 1000, 3);
    }

    pub(super) fn address(&mut self, name: &str, address: Option<SocketAddr>) {
        let Some(address) = address else { return };
        self.plain(name, |out| match address.ip() {
            IpAddr::V4(ip) => {
                for (at, octet) in ip.octets().into_iter().enumerate() {
                    if at > 0 {
                        out.push(b'.');
                    }
                    write_number(out, u64::from(octet));
                }
                out.push(b':');
                write_number(out, u64::from(address.port()));
            }
            // Writing to memory cannot fail.
            IpAddr::V6(_) => drop(write!(out, "{address}")),
        });
    }
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The last `count` decimal digits.
pub(super) fn write_digits(out: &mut Vec<u8>, number: u64, count: u32) {
    for place in (0..count).rev() {
        let digit = number / 10u64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let needs_escape = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
    if !text.as_bytes().iter().any(needs_escape) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else if serde_json::to_writer(&mut *out, text).is_err() {
        // A text is always JSON; the line must be, in any case.
        out.extend_from_slice(b"\"\"");
    }
}

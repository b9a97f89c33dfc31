//! One kept HTTP/1.1 connection, blocking.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// An exchange takes no longer.
const BOUND: Duration = Duration::from_secs(20);

/// A connection and what has been read of it.
#[derive(Debug)]
pub(super) struct Exchange {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Exchange {
    /// Connects.
    pub(super) fn open(address: SocketAddr, host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, BOUND)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(BOUND))?;
        stream.set_write_timeout(Some(BOUND))?;
        Ok(Self {
            stream,
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            buffer: vec![0; 16 * 1024],
        })
    }

    /// One request and its whole response; an error unless it is a 200.
    pub(super) fn get(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.request)?;
        let mut filled = 0;
        let (mut head, mut length) = (0, 0);
        loop {
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(room)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            if head == 0
                && let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
            {
                head = end + 4;
                length = content_length(bytes.get(..head).unwrap_or_default())?;
            }
            if head > 0 && filled >= head + length {
                return Ok(());
            }
        }
    }
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let head = std::str::from_utf8(head).map_err(|_| invalid("a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(invalid(status));
    }
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| invalid("a response without content-length"))
}

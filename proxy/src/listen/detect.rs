//! What the first bytes say: mesh TLS, the application's own TLS, HTTP, or something else.
//! Bounded in bytes and time; what was read is handed on and not lost.

use std::{io::Cursor, time::Duration};

use bytes::{Bytes, BytesMut};
use rustls::server::Acceptor;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};

use crate::identity::MeshAlpn;

/// How long a peer that must speak first may take to say what it speaks.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an undeclared port waits for the client to speak first, before the server may.
pub(super) const SNIFF_TIMEOUT: Duration = Duration::from_millis(200);

/// A ClientHello with post-quantum key shares takes about 1.6 KiB; one that does not fit here
/// is refused.
const MAX_BYTES: usize = 16 * 1024;

/// Holds a usual ClientHello or request head at once.
const FIRST_READ: usize = 2048;

/// The first byte of a TLS record that holds a handshake (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// A ClientHello that offers a mesh protocol.
    MeshTls,
    /// Another ClientHello: the application's own.
    AppTls,
    /// HTTP, either version, in plaintext.
    Http,
    /// Anything else.
    Other,
    /// Nothing came in time.
    Silence,
    /// It began like a ClientHello and is none, or did not end in time or within the bound.
    BrokenHello,
    /// The peer closed (or reset) before it said enough.
    Closed,
}

impl Spoken {
    /// The value of the `result` label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::MeshTls => "mesh_tls",
            Self::AppTls => "app_tls",
            Self::Http => "http",
            Self::Other => "other",
            Self::Silence => "timeout",
            Self::BrokenHello => "broken_hello",
            Self::Closed => "closed",
        }
    }
}

/// What to look for. What is not looked for counts as [`Spoken::Other`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// TLS, ours or the application's.
    pub(super) tls: bool,
    /// HTTP.
    pub(super) http: bool,
    /// How long the first byte may take.
    pub(super) patience: Duration,
}

enum Guess {
    Sure(Spoken),
    /// More bytes are needed, until then at the latest; after that it is the second.
    More(Duration, Spoken),
}

/// Reads until it is clear what is spoken. Gives what was read, to be read again.
pub(super) async fn detect(stream: &mut (impl AsyncRead + Unpin), look: Look) -> (Spoken, Bytes) {
    let begin = Instant::now();
    let mut bytes = BytesMut::with_capacity(FIRST_READ);
    let mut hello = Hello::default();
    let mut deadline = begin + look.patience;
    let mut otherwise = Spoken::Silence;
    let spoken = loop {
        match timeout_at(deadline, stream.read_buf(&mut bytes)).await {
            Err(_) => break otherwise,
            Ok(Err(_)) => break Spoken::Closed,
            Ok(Ok(0)) if bytes.is_empty() => break Spoken::Closed,
            // Half-closed after some bytes: whatever they are, they are all there will be.
            Ok(Ok(0)) => break otherwise,
            Ok(Ok(_)) => {}
        }
        match guess(&bytes, look, &mut hello) {
            Guess::Sure(spoken) => break spoken,
            Guess::More(..) if bytes.len() >= MAX_BYTES => break Spoken::BrokenHello,
            Guess::More(patience, spoken) => {
                deadline = begin + patience.max(look.patience);
                otherwise = spoken;
            }
        }
    };
    (spoken, bytes.freeze())
}

fn guess(bytes: &[u8], look: Look, hello: &mut Hello) -> Guess {
    match bytes.first() {
        Some(&TLS_HANDSHAKE) if look.tls => hello.feed(bytes),
        Some(_) if look.http => http(bytes),
        _ => Guess::Sure(Spoken::Other),
    }
}

/// Parses the ClientHello with rustls's own parser, as it comes.
#[derive(Default)]
struct Hello {
    acceptor: Acceptor,
    fed: usize,
}

impl Hello {
    fn feed(&mut self, bytes: &[u8]) -> Guess {
        let mut fresh = Cursor::new(bytes.get(self.fed..).unwrap_or_default());
        loop {
            // Reading from memory fails only where the acceptor's own buffer is full.
            match self.acceptor.read_tls(&mut fresh) {
                Ok(0) => break,
                Ok(read) => self.fed += read,
                Err(_) => return Guess::Sure(Spoken::BrokenHello),
            }
        }
        match self.acceptor.accept() {
            Ok(None) => Guess::More(HELLO_TIMEOUT, Spoken::BrokenHello),
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let is_mesh = hello.alpn().is_some_and(|mut offered| {
                    offered.any(|protocol| MeshAlpn::from_bytes(protocol).is_some())
                });
                Guess::Sure(if is_mesh {
                    Spoken::MeshTls
                } else {
                    Spoken::AppTls
                })
            }
            Err(_) => Guess::Sure(Spoken::BrokenHello),
        }
    }
}

/// HTTP/2's preface (RFC 9113 3.4), or HTTP/1's request line: a method of capital letters, one
/// space, then the beginning of a target (RFC 9112 3.2). `SET key` of a text protocol is none.
fn http(bytes: &[u8]) -> Guess {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
    let more = Guess::More(SNIFF_TIMEOUT, Spoken::Other);
    if PREFACE.starts_with(bytes) {
        return more;
    }
    if bytes.starts_with(PREFACE) {
        return Guess::Sure(Spoken::Http);
    }
    let method = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-')
        .count();
    if method > 24 {
        return Guess::Sure(Spoken::Other);
    }
    let target = match bytes.get(method) {
        None => return more,
        Some(b' ') if method > 0 => bytes.get(method + 1..).unwrap_or_default(),
        Some(_) => return Guess::Sure(Spoken::Other),
    };
    let is_connect = bytes.starts_with(b"CONNECT ");
    let begins = |what: &[u8]| target.starts_with(what);
    let may_begin = |what: &[u8]| what.starts_with(target);
    if is_connect || begins(b"/") || begins(b"* HTTP/") || begins(b"http://") || begins(b"https://")
    {
        Guess::Sure(Spoken::Http)
    } else if may_begin(b"* HTTP/") || may_begin(b"http://") || may_begin(b"https://") {
        more
    } else {
        Guess::Sure(Spoken::Other)
    }
}

#[cfg(test)]
mod tests;

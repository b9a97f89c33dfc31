//! The head of a request.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header, request::Parts};

use super::{
    Error,
    body::Framing,
    chunked::Chunked,
    fields::{self, Fields},
    pump::Encoder,
};

/// Bytes of a request's head.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// Header fields of one request at most.
pub(crate) const MAX_HEADERS: usize = 128;

/// A request's head as it came.
#[derive(Debug)]
pub(super) struct Received {
    pub parts: Parts,
    pub framing: Framing,
    /// The client would use the connection for a further request.
    pub keep_alive: bool,
    /// The client takes trailers.
    pub takes_trailers: bool,
    pub expects_continue: bool,
}

/// Takes a head out of `held`; `None`: it is not whole yet.
pub(super) fn parse(held: &mut Bytes) -> Result<Option<Received>, Error> {
    let bytes = held.clone();
    let mut room = fields::room::<MAX_HEADERS>();
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(&bytes, &mut room) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Error::TooLarge),
        Err(_) => return Err(Error::Malformed("the head is not HTTP/1")),
    };
    if length > MAX_HEAD {
        return Err(Error::TooLarge);
    }
    let version = match request.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let fields = Fields::new(&bytes, request.headers)?;
    if fields.transfer_encoding {
        if version == Version::HTTP_10 {
            return Err(Error::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        // Means one thing to one server and another to the next: request smuggling.
        if fields.content_length.is_some() {
            return Err(Error::Malformed(
                "both Content-Length and Transfer-Encoding",
            ));
        }
        if !fields.chunked {
            return Err(Error::Malformed("the last transfer coding is not chunked"));
        }
    }
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(request.method.unwrap_or_default().as_bytes())
        .map_err(|_| Error::Malformed("the method is no token"))?;
    let target = bytes.slice_ref(request.path.unwrap_or_default().as_bytes());
    parts.uri =
        Uri::from_maybe_shared(target).map_err(|_| Error::Malformed("the target is no URI"))?;
    parts.version = version;
    held.advance(length);
    Ok(Some(Received {
        framing: if fields.transfer_encoding {
            Framing::Chunked(Chunked::default())
        } else {
            Framing::Length(fields.content_length.unwrap_or(0))
        },
        keep_alive: fields.keeps_alive(version),
        takes_trailers: fields.takes_trailers,
        expects_continue: fields.expects_continue && version == Version::HTTP_11,
        parts: {
            parts.headers = fields.map;
            parts
        },
    }))
}

/// A request's head to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'a> {
    pub method: &'a Method,
    pub target: &'a str,
    /// Written instead of any `host` field.
    pub host: &'a str,
    pub headers: &'a HeaderMap,
    /// The protocol to switch to.
    pub upgrade: Option<&'a HeaderValue>,
}

/// Writes a head; `length`: the body's, where it is known. Gives what frames the body.
pub(super) fn write(out: &mut Vec<u8>, head: RequestHead<'_>, length: Option<u64>) -> Encoder {
    let headers = head.headers;
    out.reserve(fields::estimate(headers, length) + head.target.len() + head.host.len());
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(head.host.as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut says_length = false;
    for (name, value) in headers {
        match *name {
            header::CONTENT_LENGTH => says_length = true,
            header::HOST => {}
            _ => fields::write(out, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    if let Some(protocol) = head.upgrade {
        fields::write(out, b"connection", b"upgrade");
        fields::write(out, b"upgrade", protocol.as_bytes());
    }
    let encoder = match length {
        Some(0) => {
            // Where the client did, or where a body is expected (RFC 9110 8.6).
            if says_length || matches!(*head.method, Method::POST | Method::PUT | Method::PATCH) {
                fields::write_length(out, 0);
            }
            Encoder::Length(0)
        }
        Some(length) => {
            fields::write_length(out, length);
            Encoder::Length(length)
        }
        None => {
            fields::write(out, b"transfer-encoding", b"chunked");
            Encoder::chunked(headers)
        }
    };
    out.extend_from_slice(b"\r\n");
    encoder
}

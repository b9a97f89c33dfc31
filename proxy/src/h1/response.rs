//! The head of a response.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, Bytes};
use http::{Method, Response, StatusCode, Version, header, response::Parts};

use super::{
    AsCame, Error,
    body::Framing,
    chunked::Chunked,
    fields::{self, Fields},
    pump::Encoder,
};

/// Bytes of a response's head, and its fields.
pub(super) const MAX_HEAD: usize = 128 * 1024;
const MAX_HEADERS: usize = 256;

/// A response's head as it came.
#[derive(Debug)]
pub(super) struct Received {
    pub parts: Parts,
    /// The fields, where they need no map; `None`: they are in `parts`.
    pub came: Option<AsCame>,
    pub framing: Framing,
    /// The server would use the connection for a further exchange.
    pub keep_alive: bool,
}

/// Takes the head of the response to a request with `method` out of `held`; `None`: it is not
/// whole yet.
pub(super) fn parse(held: &mut Bytes, method: &Method) -> Result<Option<Received>, Error> {
    let bytes = held.clone();
    let mut room = fields::room::<MAX_HEADERS>();
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        &bytes,
        &mut room,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Error::TooLarge),
        Err(_) => return Err(Error::Malformed("the head is not HTTP/1")),
    };
    if length > MAX_HEAD {
        return Err(Error::TooLarge);
    }
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(Error::Malformed("the status is no number from 100 to 999"))?;
    let version = match response.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let came = match status {
        StatusCode::SWITCHING_PROTOCOLS => None,
        _ => AsCame::new(&bytes, response.headers),
    };
    let (mut fields, came) = match came {
        Some((fields, came)) => (fields, Some(came)),
        None => (Fields::new(&bytes, response.headers)?, None),
    };
    let mut keep_alive = fields.keeps_alive(version);
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = if bodiless {
        Framing::NONE
    } else if fields.transfer_encoding {
        if fields.content_length.take().is_some() {
            // Transfer-Encoding counts (RFC 9112 6.3); who sends both is not trusted any further.
            fields.map.remove(header::CONTENT_LENGTH);
            keep_alive = false;
        }
        if fields.chunked && version == Version::HTTP_11 {
            Framing::Chunked(Chunked::default())
        } else {
            Framing::UntilClose
        }
    } else {
        fields
            .content_length
            .map_or(Framing::UntilClose, Framing::Length)
    };
    let mut parts = Response::new(()).into_parts().0;
    parts.status = status;
    parts.version = version;
    parts.headers = fields.map;
    held.advance(length);
    Ok(Some(Received {
        keep_alive: keep_alive && !matches!(framing, Framing::UntilClose),
        parts,
        came,
        framing,
    }))
}

/// What the request wants of its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub version: Version,
    /// The method was HEAD.
    pub no_body: bool,
    /// The client takes trailers.
    pub trailers: bool,
}

/// Writes a head: the fields that came as they are, then those of `parts`; `length`: the body's,
/// where it is known. Gives what frames the body, and whether the connection may carry another request.
pub(super) fn write(
    out: &mut Vec<u8>,
    parts: &Parts,
    came: Option<&AsCame>,
    length: Option<u64>,
    wanted: Wanted,
    keep_alive: bool,
) -> (Encoder, bool) {
    let status = parts.status;
    let bodiless = wanted.no_body
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let until_close = !bodiless && length.is_none() && wanted.version == Version::HTTP_10;
    let says_close =
        parts.headers.contains_key(header::CONNECTION) && status != StatusCode::SWITCHING_PROTOCOLS;
    let keep_alive = keep_alive && !until_close && !says_close;

    out.reserve(fields::estimate(&parts.headers, length) + came.map_or(0, AsCame::size));
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.push(b' ');
        let reason = status.canonical_reason().unwrap_or_default();
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // Of the answer to HEAD and of 304, it tells of a body that does not come.
    let keeps_length = bodiless
        && (wanted.no_body || status == StatusCode::NOT_MODIFIED)
        && status != StatusCode::NO_CONTENT;
    if let Some(came) = came {
        came.write(out);
        if let Some(length) = came.length().filter(|_| keeps_length) {
            fields::write_length(out, length);
        }
    }
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_LENGTH || keeps_length {
            fields::write(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let encoder = match length {
        _ if bodiless => Encoder::Nothing,
        Some(length) => {
            fields::write_length(out, length);
            Encoder::Length(length)
        }
        None if until_close => Encoder::UntilClose,
        None => {
            fields::write(out, b"transfer-encoding", b"chunked");
            if wanted.trailers {
                Encoder::chunked(&parts.headers)
            } else {
                Encoder::chunked_without_trailers()
            }
        }
    };
    if !came.is_some_and(AsCame::has_date) && !parts.headers.contains_key(header::DATE) {
        write_date(out);
    }
    if status != StatusCode::SWITCHING_PROTOCOLS && !says_close {
        if !keep_alive {
            out.extend_from_slice(b"connection: close\r\n");
        } else if wanted.version == Version::HTTP_10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    (encoder, keep_alive)
}

thread_local! {
    /// The date as text, and of which second.
    static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

fn write_date(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    let second = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    DATE.with_borrow_mut(|(of, text)| {
        if *of != second {
            *of = second;
            *text = httpdate::fmt_http_date(now);
        }
        fields::write(out, b"date", text.as_bytes());
    });
}

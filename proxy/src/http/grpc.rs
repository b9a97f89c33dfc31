//! gRPC's way of saying things: a failure is a 200 whose header block is also its trailers
//! ("trailers-only", gRPC over HTTP/2).

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// `grpc-status`.
pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// `grpc-message`.
pub(super) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// UNAVAILABLE.
pub(super) const UNAVAILABLE: u16 = 14;

/// Whether a request is gRPC's. gRPC-Web is not: it takes plain HTTP statuses.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The status in a header block or trailers.
pub(super) fn status_of(headers: &HeaderMap) -> Option<u16> {
    headers.get(&STATUS)?.to_str().ok()?.parse().ok()
}

/// The code for a refusal with this HTTP status.
pub(super) fn code_for(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 | 431 => 13,
        401 => 16,
        403 => 7,
        404 | 405 => 12,
        429 | 502 | 503 => UNAVAILABLE,
        504 => 4,
        _ => 2,
    }
}

/// A message as `grpc-message` carries it: percent-encoded UTF-8.
pub(super) fn encode_message(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

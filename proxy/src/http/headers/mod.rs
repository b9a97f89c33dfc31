//! Header fields that end at this hop, and those that we add.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{self, Entry},
    request::Parts,
};

use crate::connection::{ConnectionInfo, Direction, MeshTls};

#[cfg(test)]
mod tests;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Who called, as the server's own proxy saw it.
pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// On a refusal of an inbound proxy: the application got nothing of the request, or nothing that
/// does harm when it is done again.
const REPEATABLE: HeaderName = HeaderName::from_static("x-weft-repeatable");

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Request ids of clients are kept up to this length.
const MAX_REQUEST_ID: usize = 128;

/// What the hop-by-hop fields of a request asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HopByHop {
    /// The protocol that the client wants to switch to.
    pub upgrade: Option<HeaderValue>,
    /// The client takes trailers.
    pub trailers: bool,
}

/// Removes what is meant for this hop only (RFC 9110 7.6.1), the fields that `Connection` names
/// included. Done *before* the engine is asked: a policy must not see a field that the
/// application will not.
pub(super) fn strip_request(parts: &mut Parts) -> HopByHop {
    let headers = &mut parts.headers;
    let seen = special(headers);
    if seen == 0 {
        return HopByHop::default();
    }
    let trailers = lists(headers, &header::TE, "trailers");
    let wants_upgrade = parts.version == Version::HTTP_11
        && lists(headers, &header::CONNECTION, "upgrade")
        // A request with a body, or to h2c, is served as it is: switching to HTTP/2 here would
        // carry requests past the policies.
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers
            .get(header::CONTENT_LENGTH)
            .is_none_or(|length| length.as_bytes() == b"0");
    let upgrade = headers
        .get(header::UPGRADE)
        .filter(|_| wants_upgrade)
        .filter(|protocol| {
            !protocol
                .as_bytes()
                .to_ascii_lowercase()
                .split(|byte| *byte == b',')
                .any(|name| name.trim_ascii().starts_with(b"h2c"))
        })
        .cloned();
    strip(headers, seen);
    if seen & COOKIE != 0 {
        join_cookies(headers);
    }
    HopByHop { upgrade, trailers }
}

/// Fields that only the mesh writes.
const RESERVED: &str = "x-weft-";

/// Removes what only the mesh may say: the caller's identity, and `x-weft-…`. Applications that
/// take `_` for `-` (CGI, WSGI and their heirs) would take such a spelling of the identity for
/// ours, so that goes as well.
pub(super) fn strip_reserved(headers: &mut HeaderMap) {
    // A second look only where the first found something: mostly nothing is there.
    while let Some(name) = headers.keys().find(|name| is_reserved(name)).cloned() {
        headers.remove(name);
    }
}

fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with(RESERVED)
        || name.len() == CLIENT_CERT.as_str().len()
            && name
                .bytes()
                .map(|byte| if byte == b'_' { b'-' } else { byte })
                .eq(CLIENT_CERT.as_str().bytes())
}

/// What a head holds of the fields that are not simply passed on. One look at each of its few
/// names costs less than asking the map for each of these.
fn special(headers: &HeaderMap) -> u16 {
    headers.keys().fold(0, |seen, name| {
        seen | match name.as_str() {
            "connection" => CONNECTION,
            "keep-alive" => 1 << 1,
            "proxy-connection" => 1 << 2,
            "te" => 1 << 3,
            "transfer-encoding" => 1 << 4,
            "upgrade" => 1 << 5,
            "http2-settings" => 1 << 6,
            // We answer it ourselves when the body is first asked for.
            "expect" => 1 << 7,
            "cookie" => COOKIE,
            _ if is_reserved(name) => RESERVED_SEEN,
            _ => 0,
        }
    })
}

const CONNECTION: u16 = 1;
const COOKIE: u16 = 1 << 8;
const RESERVED_SEEN: u16 = 1 << 9;

/// What ends at this hop, by its bit.
static HOP: [(u16, HeaderName); 8] = [
    (CONNECTION, header::CONNECTION),
    (1 << 1, KEEP_ALIVE),
    (1 << 2, PROXY_CONNECTION),
    (1 << 3, header::TE),
    (1 << 4, header::TRANSFER_ENCODING),
    (1 << 5, header::UPGRADE),
    (1 << 6, HTTP2_SETTINGS),
    (1 << 7, header::EXPECT),
];

/// Marks a refusal for the caller's proxy. An application cannot: what its proxy hands on has
/// lost its reserved fields ([`strip_reserved`]).
pub(super) fn mark_repeatable(headers: &mut HeaderMap) {
    headers.insert(REPEATABLE, HeaderValue::from_static("true"));
}

/// Whether a refusal was marked so.
pub(super) fn is_repeatable(headers: &HeaderMap) -> bool {
    headers.contains_key(REPEATABLE)
}

/// Removes from a request's trailers what may only stand in its head (RFC 9110 6.5.1): a server
/// that merges both would take it for checked.
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers, special(trailers));
    strip_reserved(trailers);
    for name in [
        &header::HOST,
        &header::CONTENT_LENGTH,
        &header::CONTENT_TYPE,
        &header::CONTENT_ENCODING,
        &header::CONTENT_RANGE,
        &header::TRAILER,
        &header::AUTHORIZATION,
        &header::PROXY_AUTHORIZATION,
        &header::COOKIE,
        &FORWARDED_FOR,
        &FORWARDED_PROTO,
    ] {
        trailers.remove(name);
    }
}

/// Removes a response's hop-by-hop fields; with `reserved`, those as well that only the mesh
/// writes.
pub(super) fn strip_response(headers: &mut HeaderMap, reserved: bool) {
    let seen = special(headers);
    if reserved {
        strip(headers, seen);
    } else {
        strip(headers, seen & !RESERVED_SEEN);
        if seen & RESERVED_SEEN != 0 {
            headers.remove(REPEATABLE);
        }
    }
}

/// Removes what `seen` says is there.
fn strip(headers: &mut HeaderMap, seen: u16) {
    if seen & CONNECTION != 0 {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|option| {
                !option.eq_ignore_ascii_case(b"keep-alive")
                    && !option.eq_ignore_ascii_case(b"close")
            })
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .collect();
        for name in named {
            // Fields that frame or address the message are not the client's to take away.
            if name != header::HOST && name != header::CONTENT_LENGTH {
                headers.remove(name);
            }
        }
    }
    for (bit, name) in &HOP {
        if seen & bit != 0 {
            headers.remove(name);
        }
    }
    if seen & RESERVED_SEEN != 0 {
        strip_reserved(headers);
    }
}

/// Whether a list field holds `token`.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|item| {
            item.trim_ascii()
                .split(|byte| *byte == b';')
                .next()
                .is_some_and(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    })
}

/// HTTP/2 may split the cookies over several fields; everyone else wants one (RFC 9113 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Adds what the next hop is told of this one.
/// `caller`: who called, for the application.
pub(super) fn announce(
    headers: &mut HeaderMap,
    connection: &ConnectionInfo,
    caller: Option<&HeaderValue>,
) {
    match connection.direction {
        Direction::Gateway => {
            append_address(headers, connection.peer.ip());
            let scheme = if connection.secure { "https" } else { "http" };
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        }
        Direction::Outbound => {
            let http = HeaderValue::from_static("http");
            headers.entry(FORWARDED_PROTO).or_insert(http);
        }
        Direction::Inbound => {
            if let Some(caller) = caller {
                headers.insert(CLIENT_CERT, caller.clone());
            }
        }
    }
    match headers.entry(REQUEST_ID) {
        Entry::Occupied(known) if is_request_id(known.get()) => {}
        Entry::Occupied(mut unfit) => {
            unfit.insert(new_request_id());
        }
        Entry::Vacant(none) => {
            none.insert(new_request_id());
        }
    }
}

/// Whether a client's request id is kept.
fn is_request_id(id: &HeaderValue) -> bool {
    !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// Who called, as the application is told.
pub(super) fn client_cert(tls: &MeshTls) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("By={};URI={}", tls.own, tls.peer)).ok()
}

fn new_request_id() -> HeaderValue {
    // Digits and hyphens: it never fails.
    let id = HeaderValue::from_bytes(&request_id());
    let mut id = id.unwrap_or_else(|_| HeaderValue::from_static("-"));
    // Every request has another: in HPACK's tables it would only evict what repeats.
    id.set_sensitive(true);
    id
}

fn append_address(headers: &mut HeaderMap, address: IpAddr) {
    let mut list = Vec::new();
    for value in headers.get_all(&FORWARDED_FOR) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(address.to_string().as_bytes());
    if let Ok(list) = HeaderValue::from_maybe_shared(bytes::Bytes::from(list)) {
        headers.insert(FORWARDED_FOR, list);
    }
}

/// A random UUID (version 4). By hand: `format!` costs more than a policy's decision.
fn request_id() -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits = fastrand::u128(..);
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
    let mut text = [b'-'; 36];
    let mut places = text.iter_mut();
    for (index, byte) in bits.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            places.next();
        }
        for half in [byte >> 4, byte & 0xf] {
            if let Some(place) = places.next() {
                *place = digit(half);
            }
        }
    }
    text
}

/// Restores what the chosen protocol needs: HTTP/2 says with `te` that trailers are taken.
pub(super) fn prepare_for_http2(headers: &mut HeaderMap, trailers: bool) {
    headers.remove(header::HOST);
    if trailers {
        headers.insert(header::TE, TRAILERS);
    }
}

/// Restores what a switch of protocols needs.
pub(super) fn prepare_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Whether a request of this method may be repeated without harm (RFC 9110 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// The `traceparent` field (W3C Trace Context).
pub(super) fn trace(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(&TRACE_PARENT)
}

/// The trace id of a `traceparent` field: 32 hex digits.
pub(super) fn trace_id(trace: &HeaderValue) -> Option<&str> {
    let id = trace.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

//! What a request must be before the engine is asked. What a parser already refuses (bad syntax,
//! control characters, too much, two different lengths) does not come here.

use http::{Method, Version, header, request::Parts};

#[cfg(test)]
mod tests;

/// Header fields of one request at most. HTTP/1.1 is held to it by the parser, HTTP/2 here (its
/// parser bounds the bytes).
pub(super) use crate::h1::MAX_HEADERS;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("the request has more than {MAX_HEADERS} header fields")]
    TooManyHeaders,
    #[error("the request names no host; HTTP/1.1 wants exactly one Host field")]
    NoHost,
    #[error("the request has several Host fields; send exactly one")]
    SeveralHosts,
    #[error("the request's target and its Host field name different hosts")]
    HostMismatch,
    #[error("the Host field holds a control or non-ASCII character")]
    HostCharacters,
    #[error("the request's target is a host without a scheme, which only CONNECT may send")]
    AuthorityForm,
    #[error("the target's scheme is neither http nor https")]
    Scheme,
    #[error("a transfer coding other than chunked is not supported")]
    TransferEncoding,
    #[error("CONNECT is not supported; the mesh routes requests, it is no tunnel")]
    Connect,
    #[error("HTTP/{0} is not supported")]
    Version(&'static str),
}

/// Checks the head and gives its authority: the target's, else the Host field's; empty only for
/// HTTP/1.0.
pub(super) fn authority(parts: &Parts) -> Result<&str, Rejection> {
    if parts.headers.len() > MAX_HEADERS {
        return Err(Rejection::TooManyHeaders);
    }
    if parts.method == Method::CONNECT {
        return Err(Rejection::Connect);
    }
    if parts.version == Version::HTTP_09 {
        return Err(Rejection::Version("0.9"));
    }
    if parts
        .uri
        .scheme_str()
        .is_some_and(|scheme| !matches!(scheme, "http" | "https"))
    {
        return Err(Rejection::Scheme);
    }
    if parts.uri.scheme().is_none() && parts.uri.authority().is_some() {
        return Err(Rejection::AuthorityForm);
    }
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        // `gzip, chunked` would be forwarded without its gzip; two fields are how a coding is
        // hidden from one of two servers.
        && (!coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some())
    {
        return Err(Rejection::TransferEncoding);
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Rejection::SeveralHosts),
        (Some(host), None) => Some(host.to_str().map_err(|_| Rejection::HostCharacters)?),
        (None, None) => None,
    };
    match (parts.uri.authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().eq_ignore_ascii_case(host) => {
            Err(Rejection::HostMismatch)
        }
        (Some(authority), _) => Ok(authority.as_str()),
        (None, Some(host)) => Ok(host),
        (None, None) if parts.version == Version::HTTP_10 => Ok(""),
        (None, None) => Err(Rejection::NoHost),
    }
}

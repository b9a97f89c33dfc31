//! The host of a request, in the one form that rules are compared with.

use std::borrow::Cow;

/// Why a Host header or `:authority` is refused (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityRejection {
    /// `user@host`: RFC 9110 4.2.4 calls it an error in a request.
    #[error("the authority holds user information")]
    UserInfo,
    /// The host is neither a name nor an address.
    #[error("the authority's host is neither a name nor an address")]
    Host,
    /// The port is no number up to 65535.
    #[error("the authority's port is no number up to 65535")]
    Port,
}

/// The longest host that DNS knows, with room for brackets.
const MAX_HOST: usize = 255;

/// The host of an authority: lower case, without port, without the root's trailing dot. IPv6
/// addresses keep their brackets. An empty authority (HTTP/1.0) gives an empty host, which only
/// rules without hosts match.
pub fn host(authority: &str) -> Result<Cow<'_, str>, AuthorityRejection> {
    if let Some(host) = plain(authority) {
        return Ok(Cow::Borrowed(host));
    }
    let (host, _) = split(authority)?;
    Ok(if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// The host of an authority as nearly all are: a name in lower case, with a port or without. One look
/// at each byte; what is anything else, or wrong, is looked at again.
fn plain(authority: &str) -> Option<&str> {
    let mut last = b'.';
    let mut end = authority.len();
    for (at, byte) in authority.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'.' if last != b'.' => {}
            b':' => {
                end = at;
                break;
            }
            _ => return None,
        }
        last = byte;
    }
    let (host, port) = authority.split_at_checked(end)?;
    // Four digits are a port in any case, and no sign or dot is among them.
    let is_port = port.len() <= 5 && port.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    (last != b'.' && host.len() <= MAX_HOST && is_port).then_some(host)
}

/// Splits an authority into host (without trailing dot) and port.
pub(crate) fn split(authority: &str) -> Result<(&str, Option<u16>), AuthorityRejection> {
    if authority.contains('@') {
        return Err(AuthorityRejection::UserInfo);
    }
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or(AuthorityRejection::Host)? + 1;
        let (host, rest) = authority
            .split_at_checked(end)
            .ok_or(AuthorityRejection::Host)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err(AuthorityRejection::Host),
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(AuthorityRejection::Host);
        }
        (host, port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        if !authority.is_empty() && !is_name(host) {
            return Err(AuthorityRejection::Host);
        }
        (host, port)
    };
    let port = match port {
        // RFC 3986 3.2.3 lets the port be empty.
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| AuthorityRejection::Port)?)
        }
        Some(_) => return Err(AuthorityRejection::Port),
    };
    Ok((host, port))
}

/// Labels of letters, digits, hyphens and underscores (which DNS carries and some clients use).
pub(crate) fn is_name(host: &str) -> bool {
    // No label is empty: neither two dots in a row, nor one at either end.
    let mut last = b'.';
    let mut labels = host.bytes().all(|byte| {
        let is_right = match byte {
            b'.' => last != b'.',
            _ => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        };
        last = byte;
        is_right
    });
    labels &= last != b'.';
    labels && host.len() <= MAX_HOST
}

#[cfg(test)]
mod tests;

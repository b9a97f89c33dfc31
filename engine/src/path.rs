//! Path normalisation. The *same* form is matched, authorized and forwarded, so a path cannot
//! mean one thing to a policy and another to the application.

use std::borrow::Cow;

/// Why a path is refused (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRejection {
    /// `\`, `%2f` or `%5c`: a separator that policies would not see.
    #[error("the path holds a backslash, or an encoded slash or backslash")]
    EncodedSlash,
    /// A control character, raw or encoded (`%00` to `%1f`, `%7f`).
    #[error("the path holds a NUL or control character")]
    ControlCharacter,
    /// `%` without two hex digits.
    #[error("the path holds an incomplete percent-encoding")]
    InvalidEncoding,
    /// `..` above the root.
    #[error("the path leaves the root")]
    AboveRoot,
    /// It does not begin with `/` (and is not `*` for OPTIONS).
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A raw `?` or `#` where no query or fragment can stand.
    #[error("the request target holds a fragment, or a question mark inside its path")]
    Delimiter,
    /// `/..;x/`: servlet containers drop the parameter and then see a dot segment.
    #[error("the path hides a dot segment behind a path parameter")]
    HiddenDotSegment,
}

/// Normalises the path of a request target (query excluded).
///
/// In this order, after RFC 3986: percent-encoded unreserved characters are decoded (6.2.2.2),
/// other encodings get upper-case digits (6.2.2.1), octets that may not stand raw in a path are
/// encoded (3.3), duplicate slashes become one, dot segments are removed (5.2.4). Reserved
/// characters keep their spelling: `!` and `%21` stay two different paths. A trailing slash is
/// kept: `/a` and `/a/` are two different paths. Case is kept.
///
/// What has no safe reading is refused rather than guessed at, see [`PathRejection`].
/// Idempotent. Borrowed when nothing changes, which is the common case.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathRejection> {
    if !path.starts_with('/') {
        return Err(PathRejection::NotAbsolute);
    }
    if is_normal(path) {
        return Ok(Cow::Borrowed(path));
    }
    remove_dot_segments(&canonical_octets(path)?).map(Cow::Owned)
}

/// Checks the query of a request target. It is forwarded as it came: only what would end the
/// request line or the target early is refused.
pub(crate) fn check_query(query: &str) -> Result<(), PathRejection> {
    match query.bytes().find(|b| b.is_ascii_control() || *b == b'#') {
        None => Ok(()),
        Some(b'#') => Err(PathRejection::Delimiter),
        Some(_) => Err(PathRejection::ControlCharacter),
    }
}

/// Unreserved characters (RFC 3986 2.3).
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// What may stand raw in a path: `pchar` without percent-encodings, and the slash.
fn is_path_octet(octet: u8) -> bool {
    is_unreserved(octet)
        || matches!(
            octet,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
        )
}

/// Whether a path is certainly normal already: conservative, one pass.
fn is_normal(path: &str) -> bool {
    let mut previous = 0;
    path.bytes().all(|octet| {
        let fine = is_path_octet(octet) && !(previous == b'/' && matches!(octet, b'/' | b'.'));
        previous = octet;
        fine
    })
}

fn canonical_octets(path: &str) -> Result<String, PathRejection> {
    let mut out = String::with_capacity(path.len() + 16);
    let mut octets = path.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'%' => {
                let mut digit = || {
                    octets
                        .next()
                        .and_then(|digit| char::from(digit).to_digit(16))
                        .ok_or(PathRejection::InvalidEncoding)
                };
                // Two hex digits: at most 255, so the cast keeps it.
                let decoded = (digit()? * 16 + digit()?) as u8;
                match decoded {
                    b'/' | b'\\' => return Err(PathRejection::EncodedSlash),
                    _ if decoded.is_ascii_control() => return Err(PathRejection::ControlCharacter),
                    _ if is_unreserved(decoded) => out.push(char::from(decoded)),
                    _ => push_encoded(&mut out, decoded),
                }
            }
            b'\\' => return Err(PathRejection::EncodedSlash),
            b'?' | b'#' => return Err(PathRejection::Delimiter),
            _ if octet.is_ascii_control() => return Err(PathRejection::ControlCharacter),
            _ if is_path_octet(octet) => out.push(char::from(octet)),
            _ => push_encoded(&mut out, octet),
        }
    }
    Ok(out)
}

fn push_encoded(out: &mut String, octet: u8) {
    let digit = |value: u8| {
        char::from_digit(u32::from(value), 16)
            .unwrap_or('0')
            .to_ascii_uppercase()
    };
    out.push('%');
    out.push(digit(octet >> 4));
    out.push(digit(octet & 0xf));
}

fn remove_dot_segments(path: &str) -> Result<String, PathRejection> {
    let mut out = String::with_capacity(path.len());
    let mut open_ended = false;
    for segment in path.split('/').skip(1) {
        open_ended = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => match out.rfind('/') {
                Some(parent) => out.truncate(parent),
                None => return Err(PathRejection::AboveRoot),
            },
            _ if hides_dot_segment(segment) => return Err(PathRejection::HiddenDotSegment),
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
    }
    if open_ended || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

fn hides_dot_segment(segment: &str) -> bool {
    segment
        .split_once(';')
        .is_some_and(|(name, _)| matches!(name, "." | ".."))
}

#[cfg(test)]
mod tests;

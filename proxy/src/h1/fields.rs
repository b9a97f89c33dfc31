//! What makes a message's framing clear, in its fields.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

use super::{Error, output::COPIED};

/// Room for so many fields, not yet filled.
pub(super) fn room<'b, const N: usize>() -> [MaybeUninit<httparse::Header<'b>>; N] {
    [const { MaybeUninit::uninit() }; N]
}

/// A head's fields, and what they say of the message.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub map: HeaderMap,
    pub content_length: Option<u64>,
    pub transfer_encoding: bool,
    /// The last coding is `chunked`.
    pub chunked: bool,
    pub close: bool,
    pub keep_alive: bool,
    /// Its sender takes trailers.
    pub takes_trailers: bool,
    pub expects_continue: bool,
}

impl Fields {
    /// Takes parsed fields over; `bytes`: what they were parsed from.
    pub(super) fn new(bytes: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<Self, Error> {
        let mut fields = Self {
            map: HeaderMap::with_capacity(parsed.len() + 4),
            ..Self::default()
        };
        for field in parsed {
            let name = match meshs_own(field.name) {
                Some(name) => name.clone(),
                None => HeaderName::from_bytes(field.name.as_bytes())
                    .map_err(|_| Error::Malformed("a field's name is no token"))?,
            };
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
                .map_err(|_| Error::Malformed("a field's value holds a control character"))?;
            if fields.look(&name, &value)? {
                fields
                    .map
                    .try_append(name, value)
                    .map_err(|_| Error::TooLarge)?;
            }
        }
        Ok(fields)
    }

    /// Whether the field is to be kept.
    fn look(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<bool, Error> {
        match *name {
            header::CONTENT_LENGTH => {
                let length = number(value.as_bytes())
                    .ok_or(Error::Malformed("Content-Length is no number"))?;
                return match self.content_length.replace(length) {
                    None => Ok(true),
                    // Said twice.
                    Some(before) if before == length => Ok(false),
                    Some(_) => Err(Error::Malformed("two different Content-Lengths")),
                };
            }
            header::TRANSFER_ENCODING => {
                self.transfer_encoding = true;
                let last = value.as_bytes().rsplit(|byte| *byte == b',').next();
                self.chunked =
                    last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            }
            header::CONNECTION => {
                for option in value.as_bytes().split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            header::TE => {
                let mut codings = value.as_bytes().split(|byte| *byte == b',');
                self.takes_trailers |=
                    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
            }
            header::EXPECT => {
                self.expects_continue = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
        Ok(true)
    }

    /// Whether the connection may carry another message.
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}

/// The fields that proxies of the mesh add, as they write them: nearly every request between two
/// proxies has them, and a name that is not among HTTP's own would be allocated for each.
static MESHS_OWN: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-client-cert"),
];

fn meshs_own(name: &str) -> Option<&'static HeaderName> {
    MESHS_OWN.iter().find(|known| known.as_str() == name)
}

/// Digits and nothing else (RFC 9110 8.6): no sign, no list, no space.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// How much room a head takes, roughly, and with it a body that is copied behind it.
pub(super) fn estimate(headers: &HeaderMap, length: Option<u64>) -> usize {
    let body = length
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length <= COPIED);
    256 + headers.len() * 48 + body.unwrap_or(0)
}

/// Appends `name: value` and a line end.
pub(super) fn write(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a `content-length` field.
pub(super) fn write_length(out: &mut Vec<u8>, length: u64) {
    write(
        out,
        b"content-length",
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

//! A response's fields as they came: mostly nobody asks for one by its name, and then there is no
//! need for a map. A head in which anything concerns this hop, a policy or a framing that is not
//! plain is none of these; it becomes a `HeaderMap`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use weft_engine::compile::Changeable;

use super::fields::{self, Fields};

/// Where a field stands in its head.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

/// Fields that are passed on as they came.
#[derive(Debug)]
pub(crate) struct AsCame {
    head: Bytes,
    places: Vec<Place>,
    has_date: bool,
    /// What `Content-Length` said; not among the fields.
    length: Option<u64>,
}

/// What a field means for this hop.
enum Meaning {
    /// It is passed on.
    None,
    Date,
    Length,
    Coding,
    Connection,
    /// It ends here, and says nothing.
    Dropped,
    /// A map is needed to do it justice.
    Special,
}

fn meaning(name: &[u8]) -> Meaning {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match name.len() {
        2 if is("te") => Meaning::Special,
        4 if is("date") => Meaning::Date,
        6 if is("expect") => Meaning::Special,
        7 if is("upgrade") || is("trailer") => Meaning::Special,
        10 if is("connection") => Meaning::Connection,
        10 if is("keep-alive") => Meaning::Dropped,
        11 if is("retry-after") || is("grpc-status") => Meaning::Special,
        14 if is("content-length") => Meaning::Length,
        14 if is("http2-settings") => Meaning::Special,
        16 if is("proxy-connection") => Meaning::Dropped,
        17 if is("transfer-encoding") => Meaning::Coding,
        // Who called, in any spelling.
        23 if is_x(name) => Meaning::Special,
        7.. if is_x(name) && name.get(..7).is_some_and(is_weft) => Meaning::Special,
        _ => Meaning::None,
    }
}

fn is_x(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'x' | b'X'))
}

fn is_weft(begin: &[u8]) -> bool {
    begin.eq_ignore_ascii_case(b"x-weft-")
}

impl AsCame {
    /// The fields of a parsed head, and what they say of the message. `None`: they need a map.
    pub(super) fn new(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Option<(Fields, Self)> {
        let mut fields = Fields::default();
        let mut came = Self {
            head: head.clone(),
            places: Vec::with_capacity(parsed.len()),
            has_date: false,
            length: None,
        };
        for field in parsed {
            match meaning(field.name.as_bytes()) {
                Meaning::None => {}
                Meaning::Date => came.has_date = true,
                Meaning::Length => {
                    let length = fields::number(field.value)?;
                    if fields.content_length.replace(length).is_some() {
                        return None;
                    }
                    continue;
                }
                Meaning::Coding => {
                    let is_plain =
                        !fields.transfer_encoding && field.value.eq_ignore_ascii_case(b"chunked");
                    if !is_plain {
                        return None;
                    }
                    (fields.transfer_encoding, fields.chunked) = (true, true);
                    continue;
                }
                Meaning::Connection => {
                    for option in field.value.split(|byte| *byte == b',') {
                        let option = option.trim_ascii();
                        if option.eq_ignore_ascii_case(b"close") {
                            fields.close = true;
                        } else if option.eq_ignore_ascii_case(b"keep-alive") {
                            fields.keep_alive = true;
                        } else {
                            return None;
                        }
                    }
                    continue;
                }
                Meaning::Dropped => continue,
                Meaning::Special => return None,
            }
            came.places.push(Place {
                name: span(head, field.name.as_bytes())?,
                value: span(head, field.value)?,
            });
        }
        if fields.transfer_encoding && fields.content_length.is_some() {
            return None;
        }
        came.length = fields.content_length;
        Some((fields, came))
    }

    pub(super) fn has_date(&self) -> bool {
        self.has_date
    }

    /// What `Content-Length` said.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes that the fields take, at most.
    pub(super) fn size(&self) -> usize {
        self.places.iter().fold(0, |size, place| {
            size + (place.name.1 - place.name.0 + place.value.1 - place.value.0) as usize + 4
        })
    }

    fn part(&self, (begin, end): (u32, u32)) -> &[u8] {
        let part = self.head.get(begin as usize..end as usize);
        part.unwrap_or_default()
    }

    /// Appends the fields.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for place in &self.places {
            fields::write(out, self.part(place.name), self.part(place.value));
        }
    }

    /// Puts the fields into a map, before what is there already.
    pub(crate) fn into_map(self, headers: &mut HeaderMap) {
        let added = std::mem::take(headers);
        headers.reserve(self.places.len() + added.len() + 1);
        if let Some(length) = self.length {
            headers.insert(http::header::CONTENT_LENGTH, length.into());
        }
        for place in &self.places {
            let name = HeaderName::from_bytes(self.part(place.name));
            let value = self.head.slice_ref(self.part(place.value));
            // Both were parsed: neither fails.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
                headers.append(name, value);
            }
        }
        for (name, value) in &added {
            headers.append(name, value.clone());
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        let Self { head, places, .. } = self;
        places.retain(|place| {
            let (begin, end) = place.name;
            let known = head.get(begin as usize..end as usize);
            !known.is_some_and(|known| known.eq_ignore_ascii_case(name.as_str().as_bytes()))
        });
        self.has_date &= *name != http::header::DATE;
    }
}

/// Where `part` of `head` stands in it.
fn span(head: &Bytes, part: &[u8]) -> Option<(u32, u32)> {
    if part.is_empty() {
        return Some((0, 0));
    }
    let begin = (part.as_ptr() as usize).checked_sub(head.as_ptr() as usize)?;
    let end = begin.checked_add(part.len())?;
    (end <= head.len()).then_some((u32::try_from(begin).ok()?, u32::try_from(end).ok()?))
}

/// A response's fields: what is in a map, after what came without one.
pub(crate) struct ResponseFields<'r> {
    pub came: Option<&'r mut AsCame>,
    pub map: &'r mut HeaderMap,
}

impl Changeable for ResponseFields<'_> {
    fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        if let Some(came) = &mut self.came {
            came.remove(name);
        }
        self.map.set(name, value);
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.map.add(name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        if let Some(came) = &mut self.came {
            came.remove(name);
        }
        Changeable::remove(&mut *self.map, name);
    }
}

use fastrand::Rng;
use serde_json::{Map, Value, json};
use weft_engine::documents::{Document, Envelope};

/// One to four changes to a good document: to its structure, mostly sealed again as if the
/// operator had meant it, or to its bytes.
pub(crate) fn mutate(random: &mut Rng, json: &str) -> String {
    if random.u8(..4) == 0 {
        return bytes(random, json);
    }
    let mut document: Value = serde_json::from_str(json).unwrap();
    for _ in 0..random.usize(1..=4) {
        let is_whole = random.u8(..8) == 0;
        match document.get_mut("spec") {
            Some(spec) if !is_whole => structure(random, spec),
            _ => structure(random, &mut document),
        }
    }
    if random.u8(..4) > 0 {
        seal(&document).unwrap_or_else(|| document.to_string())
    } else {
        document.to_string()
    }
}

/// The first part of it.
pub(crate) fn cut(random: &mut Rng, json: &str) -> String {
    let mut end = random.usize(1..json.trim_end().len());
    while !json.is_char_boundary(end) {
        end -= 1;
    }
    json[..end].to_owned()
}

/// With the digest of what it says now, if that can be read at all.
fn seal(document: &Value) -> Option<String> {
    let known = json!({"kind": document.get("kind")?, "spec": document.get("spec")?});
    let document: Document = serde_json::from_value(known).ok()?;
    Some(Envelope::seal(document).to_json())
}

fn bytes(random: &mut Rng, json: &str) -> String {
    let mut bytes = json.as_bytes().to_vec();
    for _ in 0..random.usize(1..=8) {
        let at = random.usize(..bytes.len());
        match random.u8(..6) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = random.u8(..),
            2 => {
                bytes.remove(at);
            }
            3 => bytes.insert(at, *random.choice(br#"{}[],:"\0e-"#).unwrap()),
            4 => {
                // A piece of it again, somewhere.
                let piece = bytes[at..(at + random.usize(1..64)).min(bytes.len())].to_vec();
                let to = random.usize(..bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(at.max(1)),
        }
        if bytes.is_empty() {
            bytes.push(b' ');
        }
    }
    // What is no UTF-8 the sources themselves refuse.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Goes down some way and changes what it finds there.
fn structure(random: &mut Rng, node: &mut Value) {
    let down = random.u8(..8) > 0;
    match node {
        Value::Object(fields) if down && !fields.is_empty() => {
            let key = fields.keys().nth(random.usize(..fields.len())).cloned();
            let key = key.unwrap();
            match random.u8(..12) {
                0 => {
                    fields.remove(&key);
                }
                1 => rename(random, fields, &key),
                2 => {
                    fields.insert(text(random), anything(random));
                }
                _ => structure(random, &mut fields[&key]),
            }
        }
        Value::Array(items) if down && !items.is_empty() => {
            let at = random.usize(..items.len());
            match random.u8(..10) {
                0 => {
                    items.remove(at);
                }
                1 => {
                    let copy = items[at].clone();
                    items.extend(std::iter::repeat_n(copy, random.usize(1..40)));
                }
                2 => items.reverse(),
                _ => structure(random, &mut items[at]),
            }
        }
        Value::String(known) if random.bool() => {
            let extra = text(random);
            let mut at = random.usize(..=known.len());
            while !known.is_char_boundary(at) {
                at -= 1;
            }
            known.insert_str(at, &extra);
        }
        other => *other = anything(random),
    }
}

fn rename(random: &mut Rng, fields: &mut Map<String, Value>, key: &str) {
    if let Some(value) = fields.remove(key) {
        fields.insert(text(random), value);
    }
}

fn text(random: &mut Rng) -> String {
    const TEXTS: &[&str] = &[
        "",
        "/",
        "*",
        "a",
        "shop",
        "reviews",
        "shop/reviews",
        "..",
        "a.b",
        "(",
        "[",
        "(a|b)*",
        "{",
        "/{x}/*",
        "$1",
        "%2e",
        "%",
        "é",
        "\u{0}",
        "\r\n",
        "0",
        "65536",
        "-1",
        "10.0.0.0/33",
        "::",
        "10.96.0.7",
        "spiffe://",
        "spiffe://x/ns/a/sa/b",
        "GET",
        "x-a",
        "99999999999999999999",
    ];
    match random.u8(..16) {
        0 => "a".repeat(random.usize(1..5_000)),
        1 => (0..random.usize(..12)).map(|_| random.char(..)).collect(),
        _ => (*random.choice(TEXTS).unwrap()).to_owned(),
    }
}

fn anything(random: &mut Rng) -> Value {
    match random.u8(..12) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 => json!(random.u16(..)),
        3 => json!(random.u64(..)),
        4 => json!(random.i64(..)),
        5 => json!(random.f64() * 1e300),
        6 => json!([]),
        7 => json!({}),
        8 => json!([text(random), random.u8(..)]),
        9 => {
            let depth = random.usize(1..200);
            (0..depth).fold(json!(0), |inner, _| json!([inner]))
        }
        _ => json!(text(random)),
    }
}

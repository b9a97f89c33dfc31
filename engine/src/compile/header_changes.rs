//! Header changes as the types that the proxy applies.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::findings::Findings;
use crate::documents::HeaderChanges;

/// Fields that frame the message or belong to one hop (RFC 9110 7.6.1, RFC 9112 6): a rule that
/// changed them could make two servers read two different requests.
const UNTOUCHABLE: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Compiled [`HeaderChanges`].
#[derive(Clone, Debug, Default)]
pub struct CompiledHeaderChanges {
    /// Replaces every value of the name.
    pub set: Box<[(HeaderName, HeaderValue)]>,
    /// Appends a value.
    pub add: Box<[(HeaderName, HeaderValue)]>,
    /// Removes every value of the name.
    pub remove: Box<[HeaderName]>,
}

impl CompiledHeaderChanges {
    /// `None` when a change cannot be made.
    pub(crate) fn compile(
        changes: &HeaderChanges,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        let mut valid = true;
        let mut name = |name: &str, part: &str, findings: &mut Findings<'_>| {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .filter(|parsed| !UNTOUCHABLE.contains(parsed));
            if parsed.is_none() {
                valid = false;
                findings.invalid(
                    format!("{field}.{part}"),
                    format!("`{name}` is no header that a rule may change"),
                    "name an end-to-end header; for the host use `rewrite.hostname`",
                );
            }
            parsed
        };
        let mut pairs = Vec::new();
        for (part, entries) in [("set", &changes.set), ("add", &changes.add)] {
            for (key, value) in entries {
                let key = name(key, part, findings);
                pairs.push((part, key, value));
            }
        }
        let remove: Vec<_> = changes
            .remove
            .iter()
            .filter_map(|key| name(key, "remove", findings))
            .collect();
        let (mut set, mut add) = (Vec::new(), Vec::new());
        for (part, key, value) in pairs {
            let Some(key) = key else { continue };
            let Ok(parsed) = HeaderValue::from_bytes(value.as_bytes()) else {
                valid = false;
                findings.invalid(
                    format!("{field}.{part}.{key}"),
                    "the value holds a control character",
                    "remove line breaks and control characters",
                );
                continue;
            };
            match part {
                "set" => set.push((key, parsed)),
                _ => add.push((key, parsed)),
            }
        }
        valid.then(|| Self {
            set: set.into(),
            add: add.into(),
            remove: remove.into(),
        })
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }

    /// Applies them in order: set, add, remove.
    pub fn apply(&self, fields: &mut impl Changeable) {
        for (name, value) in &self.set {
            fields.set(name, value);
        }
        for (name, value) in &self.add {
            fields.add(name, value);
        }
        for name in &self.remove {
            fields.remove(name);
        }
    }
}

/// A message's fields, in whatever form they are held.
pub trait Changeable {
    /// Replaces every value of the name.
    fn set(&mut self, name: &HeaderName, value: &HeaderValue);
    /// Appends a value.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue);
    /// Removes every value of the name.
    fn remove(&mut self, name: &HeaderName);
}

/// A map that is full (32,768 fields) takes no more.
impl Changeable for HeaderMap {
    fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        let _ = self.try_insert(name, value.clone());
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        let _ = self.try_append(name, value.clone());
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }
}

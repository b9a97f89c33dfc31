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
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Appends a value.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removes every value of the name.
    pub remove: Vec<HeaderName>,
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
        let mut compiled = Self {
            remove,
            ..Self::default()
        };
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
                "set" => compiled.set.push((key, parsed)),
                _ => compiled.add.push((key, parsed)),
            }
        }
        valid.then_some(compiled)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }

    /// Applies them in order: set, add, remove. A map that is full (32,768 fields) takes no more.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            let _ = headers.try_insert(name, value.clone());
        }
        for (name, value) in &self.add {
            let _ = headers.try_append(name, value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }
}

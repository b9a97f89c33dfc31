//! Conditions on a value: a header, a query parameter, a cookie.

use regex::{Regex, RegexBuilder};

use crate::documents::ValueMatch;

/// The largest compiled program of one expression, in bytes. The match time is linear in the
/// input; this bounds the factor, and what one object can make every proxy hold.
const MAX_PROGRAM: usize = 256 << 10;
/// The memory that one expression's lazy DFA may take per thread before it falls back to the
/// slower engine.
const MAX_DFA: usize = 512 << 10;
/// How deep groups may nest.
const MAX_NESTING: u32 = 64;

/// Compiles an expression that must match the whole value.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, String> {
    // Alone first: `a)|(b` is no expression, though it would become one between the anchors.
    unanchored(pattern)?;
    unanchored(&format!("^(?:{pattern})$"))
}

/// Compiles an expression that may match anywhere.
pub(crate) fn unanchored(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_PROGRAM)
        .dfa_size_limit(MAX_DFA)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the expression compiles to more than {limit} bytes")
            }
            // The last line names the mistake; those before it draw the pattern.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })
}

/// A compiled [`ValueMatch`].
#[derive(Debug)]
pub(crate) enum ValueCondition {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Regex(Regex),
    Present,
    Absent,
}

impl ValueCondition {
    pub(crate) fn compile(condition: &ValueMatch) -> Result<Self, String> {
        Ok(match condition {
            ValueMatch::Exact(value) => Self::Exact(value.as_bytes().into()),
            ValueMatch::Prefix(value) => Self::Prefix(value.as_bytes().into()),
            ValueMatch::Regex(pattern) => Self::Regex(anchored(pattern)?),
            ValueMatch::Present => Self::Present,
            ValueMatch::Absent => Self::Absent,
        })
    }

    /// Whether the value, or its absence, meets the condition. Bytes that are no UTF-8 meet an
    /// expression as U+FFFD, so that one stray byte does not hide the rest from `.*`.
    pub(crate) fn holds(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (_, None) => false,
            (Self::Present, Some(_)) => true,
            (Self::Exact(wanted), Some(value)) => **wanted == *value,
            (Self::Prefix(wanted), Some(value)) => value.starts_with(wanted),
            (Self::Regex(regex), Some(value)) => regex.is_match(&String::from_utf8_lossy(value)),
        }
    }
}

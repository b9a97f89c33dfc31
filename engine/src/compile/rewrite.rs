//! Path rewrites.

use std::borrow::Cow;

use regex::Regex;

use super::{findings::Findings, value::unanchored};
use crate::{documents::PathRewrite, path};

/// A compiled [`PathRewrite`].
#[derive(Clone, Debug)]
pub(crate) enum CompiledPathRewrite {
    Full(Box<str>),
    /// Without trailing slash.
    Prefix(Box<str>),
    Regex(Regex, Box<str>),
}

impl CompiledPathRewrite {
    pub(crate) fn compile(
        rewrite: &PathRewrite,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        let mut refuse = |part: &str, why: String, fix: &str| {
            findings.invalid(format!("{field}.{part}"), why, fix);
        };
        match rewrite {
            PathRewrite::ReplaceFull { value } => match path::normalise(value) {
                Ok(value) => Some(Self::Full(value.into())),
                Err(why) => {
                    refuse("value", why.to_string(), "give an absolute path");
                    None
                }
            },
            // The Gateway API lets the new prefix be empty, which means the root.
            PathRewrite::ReplacePrefix { value } if value.is_empty() => {
                Some(Self::Prefix("".into()))
            }
            PathRewrite::ReplacePrefix { value } => match path::normalise(value) {
                Ok(value) => Some(Self::Prefix(value.trim_end_matches('/').into())),
                Err(why) => {
                    refuse("value", why.to_string(), "give an absolute path");
                    None
                }
            },
            PathRewrite::Regex {
                pattern,
                substitution,
            } => match unanchored(pattern) {
                Ok(_) if substitution.contains(['?', '#', '\\']) => {
                    refuse(
                        "substitution",
                        "the substitution holds `?`, `#` or a backslash".to_owned(),
                        "rewrite the path only; groups are written `$1`",
                    );
                    None
                }
                Ok(regex) => Some(Self::Regex(regex, unambiguous_groups(substitution).into())),
                Err(why) => {
                    refuse(
                        "pattern",
                        why,
                        "correct the regular expression (RE2 syntax)",
                    );
                    None
                }
            },
        }
    }

    /// The new path, query excluded. `prefix`: how many bytes the match took.
    pub(crate) fn apply<'p>(&'p self, path: &'p str, prefix: usize) -> Cow<'p, str> {
        match self {
            Self::Full(value) => Cow::Borrowed(value),
            Self::Prefix(value) => {
                let rest = path.get(prefix..).unwrap_or_default();
                match (&**value, rest) {
                    ("", "") => Cow::Borrowed("/"),
                    ("", rest) => Cow::Borrowed(rest),
                    (value, "") => Cow::Borrowed(value),
                    (value, rest) => Cow::Owned([value, rest].concat()),
                }
            }
            // A substitution can join what normalisation had told apart (`/x.x./` without the
            // x): the result is brought to the one form again, and what has none is not used.
            Self::Regex(regex, substitution) => match regex.replace_all(path, &**substitution) {
                Cow::Borrowed(unchanged) => Cow::Borrowed(unchanged),
                Cow::Owned(new) => match path::normalise(&new) {
                    Ok(normal) => Cow::Owned(normal.into_owned()),
                    Err(_) => Cow::Borrowed(path),
                },
            },
        }
    }
}

/// `$1x` names a group `1x` to the regex crate and group 1 to everybody else.
fn unambiguous_groups(substitution: &str) -> String {
    let mut out = String::with_capacity(substitution.len() + 8);
    let mut characters = substitution.chars().peekable();
    while let Some(character) = characters.next() {
        out.push(character);
        if character == '$' && characters.peek().is_some_and(char::is_ascii_digit) {
            out.push('{');
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                out.push(digit);
            }
            out.push('}');
        }
    }
    out
}

/// Puts the query of `path_and_query` behind a new path.
pub(crate) fn with_query<'p>(path: Cow<'p, str>, path_and_query: &str) -> Cow<'p, str> {
    match path_and_query.split_once('?') {
        Some((_, query)) => Cow::Owned([&*path, "?", query].concat()),
        None => path,
    }
}

//! Path patterns of authorization rules.

use crate::path;

/// A pattern that a normalised path is compared with, case-sensitively:
///
/// - `/a` is that path only: neither `/a/` nor `/a/b`;
/// - `/a/*` is `/a`, `/a/` and everything below at any depth: most applications answer the first
///   two alike, and a policy that saw only one of them would be easy to walk around;
/// - `/a/{id}/b`: a name in braces stands for one segment that is not empty;
/// - `*` alone is every path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PathPattern {
    Any,
    Exact(Box<str>),
    /// Up to the slash before `*`, which is left out.
    Below(Box<str>),
    Segments(Box<[Segment]>, Open),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    One,
}

/// Whether anything may follow the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    Yes,
    No,
}

impl PathPattern {
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern == "*" {
            return Ok(Self::Any);
        }
        let (body, open) = match pattern.strip_suffix("/*") {
            Some(body) => (body, Open::Yes),
            None => (pattern, Open::No),
        };
        if body.contains('*') {
            return Err(format!(
                "`{pattern}` has `*` elsewhere than as its last segment"
            ));
        }
        if !pattern.starts_with('/') {
            return Err(format!("`{pattern}` does not begin with a slash"));
        }
        if body.contains("//") {
            return Err(format!("`{pattern}` holds an empty segment"));
        }
        let mut segments = Vec::new();
        for segment in body.split('/').skip(1) {
            let named = segment
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            segments.push(match named {
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Segment::One,
                Some(_) => return Err(format!("`{segment}` names no segment")),
                None if segment.contains(['{', '}']) => {
                    return Err(format!("`{segment}` has braces around a part of a segment"));
                }
                None => Segment::Literal(literal(segment, pattern)?),
            });
        }
        if segments.contains(&Segment::One) {
            return Ok(Self::Segments(segments.into(), open));
        }
        if body.is_empty() {
            // `/*`, for a pattern begins with a slash.
            return Ok(Self::Below("".into()));
        }
        let whole = path::normalise(body).map_err(|why| format!("`{pattern}`: {why}"))?;
        Ok(match open {
            Open::Yes => Self::Below(whole.trim_end_matches('/').into()),
            Open::No => Self::Exact(whole.into()),
        })
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => **wanted == *path,
            Self::Below(prefix) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Segments(wanted, open) => {
                let mut segments = path.split('/').skip(1);
                wanted.iter().all(|wanted| match (wanted, segments.next()) {
                    (_, None) => false,
                    (Segment::One, Some(segment)) => !segment.is_empty(),
                    (Segment::Literal(literal), Some(segment)) => **literal == *segment,
                }) && match open {
                    Open::Yes => true,
                    Open::No => segments.next().is_none(),
                }
            }
        }
    }
}

/// One segment in its normal form.
fn literal(segment: &str, pattern: &str) -> Result<Box<str>, String> {
    let slashed = format!("/{segment}");
    let normal = path::normalise(&slashed).map_err(|why| format!("`{pattern}`: {why}"))?;
    let normal = normal.strip_prefix('/').unwrap_or_default();
    // A dot segment, or an empty one inside, does not survive normalisation.
    if normal.is_empty() != segment.is_empty() {
        return Err(format!("`{pattern}` holds a dot segment"));
    }
    Ok(normal.into())
}

#[cfg(test)]
mod tests;

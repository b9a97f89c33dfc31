//! Host patterns: exact, or `*.suffix` for any number of labels below (Gateway API).

use std::{cmp::Reverse, collections::HashMap};

use crate::authority::is_name;

/// A pattern on the normalised host. Ordered by specificity, the more specific first: exact
/// hosts, longer suffixes, shorter suffixes, any host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HostPattern {
    Exact(Box<str>),
    /// The suffix without `*.`.
    Below(Box<str>),
    Any,
}

impl HostPattern {
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let lower = pattern.trim_end_matches('.').to_ascii_lowercase();
        if lower == "*" {
            return Ok(Self::Any);
        }
        let (wildcard, name) = match lower.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, &*lower),
        };
        let address = name.starts_with('[') && crate::authority::split(name).is_ok();
        match (wildcard, is_name(name)) {
            (true, true) => Ok(Self::Below(name.into())),
            (false, true) => Ok(Self::Exact(name.into())),
            (false, false) if address => Ok(Self::Exact(name.into())),
            _ => Err(format!("`{pattern}` is no hostname")),
        }
    }

    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *host,
            Self::Below(suffix) => host
                .strip_suffix(&**suffix)
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            Self::Any => true,
        }
    }

    /// Whether every host that `narrow` matches is matched.
    pub(crate) fn covers(&self, narrow: &Self) -> bool {
        match narrow {
            Self::Exact(host) => self.matches(host),
            Self::Any => *self == Self::Any,
            Self::Below(suffix) => match self {
                Self::Any => true,
                Self::Exact(_) => false,
                Self::Below(wide) => wide == suffix || self.matches(suffix),
            },
        }
    }

    /// Whether some host is matched by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Smaller is more specific.
    pub(crate) fn rank(&self) -> (u8, Reverse<usize>) {
        match self {
            // All exact hosts are alike: at most one matches a request.
            Self::Exact(_) => (0, Reverse(0)),
            Self::Below(suffix) => (1, Reverse(suffix.len())),
            Self::Any => (2, Reverse(0)),
        }
    }
}

/// By a text of the configuration. Requests only look up, so that they cannot make keys collide; a
/// hash that withstood that would cost more than the rest of the look-up.
pub(crate) type Index<T> = HashMap<Box<str>, T, foldhash::fast::RandomState>;

/// Values by host pattern, found in time that grows with the host's labels, not with the map.
#[derive(Debug)]
pub(crate) struct HostMap<T> {
    exact: Index<T>,
    below: Index<T>,
    any: Option<T>,
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self {
            exact: Index::default(),
            below: Index::default(),
            any: None,
        }
    }
}

impl<T: Default> HostMap<T> {
    pub(crate) fn entry(&mut self, pattern: &HostPattern) -> &mut T {
        match pattern {
            HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostPattern::Below(suffix) => self.below.entry(suffix.clone()).or_default(),
            HostPattern::Any => self.any.get_or_insert_with(T::default),
        }
    }
}

impl<T> HostMap<T> {
    /// What matches `host`, the most specific first.
    pub(crate) fn matching<'m>(&'m self, host: &'m str) -> impl Iterator<Item = &'m T> {
        let exact = if self.exact.is_empty() {
            None
        } else {
            self.exact.get(host)
        };
        // The first label is never part of a suffix: `*.shop` does not match `shop`.
        let suffixes = (!self.below.is_empty()).then(|| {
            host.match_indices('.')
                .filter(|(at, _)| *at > 0)
                .filter_map(|(at, _)| self.below.get(host.get(at + 1..)?))
        });
        exact
            .into_iter()
            .chain(suffixes.into_iter().flatten())
            .chain(self.any.as_ref())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.exact
            .values_mut()
            .chain(self.below.values_mut())
            .chain(self.any.as_mut())
    }
}

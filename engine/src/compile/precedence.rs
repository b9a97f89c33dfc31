//! Which rule wins: visible in one `cmp`.

use std::cmp::Reverse;

use super::{hosts::HostPattern, table::PathCondition};

/// The summary of one alternative of a rule. Ordered: the *smaller* wins.
///
/// The derived order is the order of the fields: exact hostname over wildcard (longer suffix
/// first) over none; Exact path over Regex over Prefix (longer first); with a method over
/// without; more headers; more query parameters; more cookies; more conditions on the caller;
/// then the document's order, which is age, `namespace/name`, and position. The first five are
/// the Gateway API's; cookies and caller are Weft's own and stand after them, so that a route
/// without them keeps its Gateway API meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence {
    host: (u8, Reverse<usize>),
    path: (PathKind, Reverse<usize>),
    method: Reverse<bool>,
    headers: Reverse<usize>,
    query_params: Reverse<usize>,
    cookies: Reverse<usize>,
    source: Reverse<usize>,
    document_order: (usize, usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathKind {
    Exact,
    Regex,
    Prefix,
}

/// How many conditions an alternative has, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) method: bool,
    pub(crate) headers: usize,
    pub(crate) query_params: usize,
    pub(crate) cookies: usize,
    pub(crate) source: usize,
}

impl Precedence {
    /// `document_order`: the rule, its match, its hostname.
    pub(crate) fn of(
        host: &HostPattern,
        path: &PathCondition,
        counts: Counts,
        document_order: (usize, usize, usize),
    ) -> Self {
        let path = match path {
            PathCondition::Exact(path) => (PathKind::Exact, Reverse(path.len())),
            PathCondition::Regex(regex) => (PathKind::Regex, Reverse(regex.pattern.len())),
            PathCondition::Prefix(prefix) => (PathKind::Prefix, Reverse(prefix.len())),
        };
        Self {
            host: host.rank(),
            path,
            method: Reverse(counts.method),
            headers: Reverse(counts.headers),
            query_params: Reverse(counts.query_params),
            cookies: Reverse(counts.cookies),
            source: Reverse(counts.source),
            document_order,
        }
    }

    /// The rule, its match, its hostname, by position in the document.
    pub(crate) fn position(&self) -> (usize, usize, usize) {
        self.document_order
    }
}

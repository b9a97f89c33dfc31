//! The conditions of one alternative beyond host and path.

use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;

use super::{findings::Findings, precedence::Counts, value::ValueCondition};
use crate::{
    documents::{HeaderMatch, HttpMatch, SourceMatch},
    facts::{NormalHttp, Peer},
};

/// Method, headers, query parameters, cookies, caller: all must hold.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    method: Option<Box<str>>,
    headers: Vec<(HeaderName, ValueCondition)>,
    query_params: Vec<(Box<str>, ValueCondition)>,
    cookies: Vec<(Box<str>, ValueCondition)>,
    source: Option<Box<SourceMatch>>,
}

/// The first condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmet<'c> {
    Host,
    Path,
    Method(&'c str),
    Header(&'c str),
    QueryParam(&'c str),
    Cookie(&'c str),
    Source,
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host does not match"),
            Self::Path => f.write_str("the path does not match"),
            Self::Method(wanted) => write!(f, "the method is not {wanted}"),
            Self::Header(name) => write!(f, "the header {name} does not match"),
            Self::QueryParam(name) => write!(f, "the query parameter {name} does not match"),
            Self::Cookie(name) => write!(f, "the cookie {name} does not match"),
            Self::Source => f.write_str("the caller is not one of the sources"),
        }
    }
}

impl Conditions {
    /// `None` when a condition cannot be compiled: such an alternative matches nothing.
    pub(crate) fn compile(
        source: &HttpMatch,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        let valid = &mut true;
        let headers = named(
            &source.headers,
            &format!("{field}.headers"),
            findings,
            valid,
            |name| HeaderName::from_bytes(name.as_bytes()).ok(),
        );
        let plain = |name: &str| (!name.is_empty()).then(|| Box::from(name));
        let query_params = named(
            &source.query_params,
            &format!("{field}.queryParams"),
            findings,
            valid,
            plain,
        );
        let cookies = named(
            &source.cookies,
            &format!("{field}.cookies"),
            findings,
            valid,
            plain,
        );
        (*valid).then(|| Self {
            method: source.method.as_deref().map(Box::from),
            headers,
            query_params,
            cookies,
            source: source.source.clone().map(Box::new),
        })
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            method: self.method.is_some(),
            headers: self.headers.len(),
            query_params: self.query_params.len(),
            cookies: self.cookies.len(),
            source: self.source.as_ref().map_or(0, |source| {
                usize::from(!source.namespaces.is_empty())
                    + usize::from(!source.service_accounts.is_empty())
                    + source.labels.len()
            }),
        }
    }

    /// Cheap conditions first.
    pub(crate) fn check(&self, request: &NormalHttp<'_>, peer: &Peer<'_>) -> Result<(), Unmet<'_>> {
        if let Some(method) = self.method.as_deref()
            && method != request.method
        {
            return Err(Unmet::Method(method));
        }
        for (name, condition) in &self.headers {
            if !condition.holds(header_value(request.headers, name).as_deref()) {
                return Err(Unmet::Header(name.as_str()));
            }
        }
        for (name, condition) in &self.query_params {
            if !condition.holds(query_param(request.query, name).as_deref()) {
                return Err(Unmet::QueryParam(name));
            }
        }
        for (name, condition) in &self.cookies {
            if !condition.holds(cookie(request.headers, name)) {
                return Err(Unmet::Cookie(name));
            }
        }
        match &self.source {
            Some(source) if !comes_from(source, peer) => Err(Unmet::Source),
            _ => Ok(()),
        }
    }
}

fn named<N>(
    matches: &[HeaderMatch],
    field: &str,
    findings: &mut Findings<'_>,
    valid: &mut bool,
    parse: impl Fn(&str) -> Option<N>,
) -> Vec<(N, ValueCondition)> {
    let mut compiled = Vec::with_capacity(matches.len());
    for (at, entry) in matches.iter().enumerate() {
        match (parse(&entry.name), ValueCondition::compile(&entry.value)) {
            (Some(name), Ok(condition)) => compiled.push((name, condition)),
            (None, _) => {
                *valid = false;
                findings.invalid(
                    format!("{field}[{at}].name"),
                    format!("`{}` is no name", entry.name),
                    "use a non-empty name of letters, digits and hyphens",
                );
            }
            (_, Err(why)) => {
                *valid = false;
                findings.invalid(
                    format!("{field}[{at}].value"),
                    why,
                    "correct the regular expression (RE2 syntax)",
                );
            }
        }
    }
    compiled
}

/// Several fields of one name are one list (RFC 9110 5.3).
fn header_value<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Option<Cow<'r, [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.as_bytes();
    let mut joined = Cow::Borrowed(first);
    for value in values {
        let list = joined.to_mut();
        list.extend_from_slice(b",");
        list.extend_from_slice(value.as_bytes());
    }
    Some(joined)
}

/// The first parameter of that name, percent-decoded. `+` is a plus: what it means is a matter
/// of forms, not of URIs.
fn query_param<'r>(query: Option<&'r str>, wanted: &str) -> Option<Cow<'r, [u8]>> {
    query?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        percent_decode_str(name)
            .eq(wanted.bytes())
            .then(|| percent_decode_str(value).into())
    })
}

/// The first cookie of that name (RFC 6265 5.4), over all cookie fields: HTTP/2 may split them.
fn cookie<'r>(headers: &'r HeaderMap, wanted: &str) -> Option<&'r [u8]> {
    headers.get_all(header::COOKIE).iter().find_map(|field| {
        field.as_bytes().split(|b| *b == b';').find_map(|pair| {
            let pair = pair.trim_ascii();
            let at = pair.iter().position(|b| *b == b'=')?;
            let (name, value) = pair.split_at_checked(at)?;
            (name == wanted.as_bytes()).then(|| value.strip_prefix(b"=").unwrap_or(value))
        })
    })
}

/// Whether the caller is meant. The workload that the proxy stands beside comes first; a peer
/// that is only known by its identity has no labels.
fn comes_from(source: &SourceMatch, peer: &Peer<'_>) -> bool {
    let (namespace, account, labels) = match (peer.workload, peer.identity) {
        (Some(workload), _) => (
            &*workload.namespace,
            &*workload.service_account,
            Some(&workload.labels),
        ),
        (None, Some(identity)) => (identity.namespace(), identity.service_account(), None),
        (None, None) => return false,
    };
    let in_namespace =
        source.namespaces.is_empty() || source.namespaces.iter().any(|wanted| wanted == namespace);
    let by_account = source.service_accounts.is_empty()
        || source
            .service_accounts
            .iter()
            .any(|wanted| wanted.split_once('/') == Some((namespace, account)));
    let labelled = source
        .labels
        .iter()
        .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value));
    in_namespace && by_account && labelled
}

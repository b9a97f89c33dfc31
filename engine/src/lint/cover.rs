//! Whether one rule takes in everything that another does. `false` where it cannot be shown.

use crate::{
    compile::{HostPattern, PathPattern},
    documents::{
        AuthRule, HeaderCondition, HeaderMatch, HttpMatch, RuleFrom, RuleTo, Selector, SourceMatch,
        ValueMatch,
    },
};

/// Every pod that `narrow` selects is selected by `wide`.
pub(super) fn selector(wide: &Selector, narrow: &Selector) -> bool {
    match (wide, narrow) {
        (Selector::All, _) => true,
        (Selector::Labels(_), Selector::All) => false,
        (Selector::Labels(wide), Selector::Labels(narrow)) => {
            !wide.is_empty()
                && wide
                    .iter()
                    .all(|(key, value)| narrow.get(key) == Some(value))
        }
    }
}

/// Host and path excluded.
pub(super) fn conditions(wide: &HttpMatch, narrow: &HttpMatch) -> bool {
    (wide.method.is_none() || wide.method == narrow.method)
        && values(&wide.headers, &narrow.headers)
        && values(&wide.query_params, &narrow.query_params)
        && values(&wide.cookies, &narrow.cookies)
        && source(wide.source.as_ref(), narrow.source.as_ref())
}

fn values(wide: &[HeaderMatch], narrow: &[HeaderMatch]) -> bool {
    wide.iter().all(|wide| {
        narrow.iter().any(|narrow| {
            wide.name.eq_ignore_ascii_case(&narrow.name) && value(&wide.value, &narrow.value)
        })
    })
}

fn value(wide: &ValueMatch, narrow: &ValueMatch) -> bool {
    match (wide, narrow) {
        (ValueMatch::Present, narrow) => !matches!(narrow, ValueMatch::Absent),
        (ValueMatch::Prefix(wide), ValueMatch::Exact(narrow) | ValueMatch::Prefix(narrow)) => {
            narrow.starts_with(wide)
        }
        (wide, narrow) => wide == narrow,
    }
}

fn source(wide: Option<&SourceMatch>, narrow: Option<&SourceMatch>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(wide), None) => *wide == SourceMatch::default(),
        (Some(wide), Some(narrow)) => {
            list(&wide.namespaces, &narrow.namespaces, |a, b| a == b)
                && list(&wide.service_accounts, &narrow.service_accounts, |a, b| {
                    a == b
                })
                && wide
                    .labels
                    .iter()
                    .all(|(key, value)| narrow.labels.get(key) == Some(value))
        }
    }
}

/// An empty wide list takes in everything; an empty narrow one is everything.
fn list<T>(wide: &[T], narrow: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    wide.is_empty()
        || (!narrow.is_empty()
            && narrow
                .iter()
                .all(|narrow| wide.iter().any(|wide| covers(wide, narrow))))
}

/// An authorization rule.
pub(super) fn rule(wide: &AuthRule, narrow: &AuthRule) -> bool {
    list(&wide.from, &narrow.from, from)
        && list(&wide.to, &narrow.to, to)
        && wide.headers.iter().all(|wide| {
            narrow
                .headers
                .iter()
                .any(|narrow| header_condition(wide, narrow))
        })
}

fn header_condition(wide: &HeaderCondition, narrow: &HeaderCondition) -> bool {
    wide.name.eq_ignore_ascii_case(&narrow.name)
        && list(&wide.values, &narrow.values, value)
        && subset(&wide.not_values, &narrow.not_values)
}

fn from(wide: &RuleFrom, narrow: &RuleFrom) -> bool {
    // A named service account says its namespace as well.
    let accounts_in_namespaces = !narrow.service_accounts.is_empty()
        && narrow.service_accounts.iter().all(|account| {
            account
                .split_once('/')
                .is_some_and(|(namespace, _)| wide.namespaces.iter().any(|wide| wide == namespace))
        });
    let namespaces = list(&wide.namespaces, &narrow.namespaces, |a, b| a == b);
    (namespaces || accounts_in_namespaces)
        && list(&wide.service_accounts, &narrow.service_accounts, |a, b| {
            account(a, b)
        })
        && list(&wide.principals, &narrow.principals, |a, b| principal(a, b))
        && list(&wide.ip_blocks, &narrow.ip_blocks, |wide, narrow| {
            wide.contains(narrow)
        })
        && subset(&wide.not_namespaces, &narrow.not_namespaces)
        && subset(&wide.not_service_accounts, &narrow.not_service_accounts)
        && subset(&wide.not_principals, &narrow.not_principals)
        && subset(&wide.not_ip_blocks, &narrow.not_ip_blocks)
}

fn account(wide: &str, narrow: &str) -> bool {
    match (wide.split_once('/'), narrow.split_once('/')) {
        (Some((wide_namespace, wide_name)), Some((namespace, name))) => {
            (wide_namespace == "*" || wide_namespace == namespace)
                && (wide_name == "*" || wide_name == name)
        }
        _ => false,
    }
}

fn principal(wide: &str, narrow: &str) -> bool {
    wide == narrow
        || wide == "*"
        || (!narrow.contains('*') && crate::compile::Glob::new(wide).matches(narrow))
}

fn to(wide: &RuleTo, narrow: &RuleTo) -> bool {
    list(&wide.methods, &narrow.methods, |a, b| a == b)
        && list(&wide.paths, &narrow.paths, |a, b| path(a, b))
        && list(&wide.hosts, &narrow.hosts, |a, b| host(a, b))
        && list(&wide.ports, &narrow.ports, |a, b| a == b)
        && subset(&wide.not_methods, &narrow.not_methods)
        && subset(&wide.not_paths, &narrow.not_paths)
        && subset(&wide.not_hosts, &narrow.not_hosts)
        && subset(&wide.not_ports, &narrow.not_ports)
}

/// What the wide rule leaves out, the narrow one leaves out too.
fn subset<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
    wide.iter().all(|left_out| narrow.contains(left_out))
}

/// A path pattern of an authorization rule.
pub(super) fn path(wide: &str, narrow: &str) -> bool {
    if wide == narrow || wide == "*" {
        return true;
    }
    if let Some(base) = wide.strip_suffix("/*")
        && !base.contains('{')
    {
        return narrow != "*"
            && narrow
                .strip_prefix(base)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    }
    // A narrow path without placeholders is one path, which a pattern either matches or not.
    !narrow.contains(['*', '{'])
        && PathPattern::compile(wide).is_ok_and(|pattern| pattern.matches(narrow))
}

/// A host pattern.
pub(super) fn host(wide: &str, narrow: &str) -> bool {
    let (Ok(wide), Ok(narrow)) = (HostPattern::compile(wide), HostPattern::compile(narrow)) else {
        return false;
    };
    wide.covers(&narrow)
}

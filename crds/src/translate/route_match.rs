//! Conditions on a request.

use weft_engine::documents::{HeaderMatch, HttpMatch, PathMatch, SourceMatch, ValueMatch};

use crate::virtual_route::{self, NamedValueMatch, PathMatchType, ValueMatchType};

pub(super) fn http_match(entry: &virtual_route::HttpMatch) -> HttpMatch {
    HttpMatch {
        path: entry.path.as_ref().map(|path| {
            let value = path.value.clone();
            match path.kind {
                PathMatchType::Exact => PathMatch::Exact(value),
                PathMatchType::Prefix => PathMatch::Prefix(value),
                PathMatchType::Regex => PathMatch::Regex(value),
            }
        }),
        method: entry.method.clone(),
        headers: entry
            .headers
            .iter()
            .map(|header| {
                let mut header = named(header);
                header.name.make_ascii_lowercase();
                header
            })
            .collect(),
        query_params: entry.query_params.iter().map(named).collect(),
        cookies: entry.cookies.iter().map(named).collect(),
        source: entry.source.as_ref().map(|source| SourceMatch {
            namespaces: source.namespaces.clone(),
            service_accounts: source.service_accounts.clone(),
            labels: source.labels.clone(),
        }),
    }
}

fn named(entry: &NamedValueMatch) -> HeaderMatch {
    let value = entry.value.clone().unwrap_or_default();
    HeaderMatch {
        name: entry.name.clone(),
        value: match entry.kind {
            ValueMatchType::Exact => ValueMatch::Exact(value),
            ValueMatchType::Prefix => ValueMatch::Prefix(value),
            ValueMatchType::Regex => ValueMatch::Regex(value),
            ValueMatchType::Present => ValueMatch::Present,
            ValueMatchType::Absent => ValueMatch::Absent,
        },
    }
}

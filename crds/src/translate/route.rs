//! VirtualRoute → rules.

use weft_engine::documents::{Backend, HttpRule, ServiceRef, TcpMatch, TcpRule};

use super::{
    Findings,
    route_action::{action, header_changes, retry, rewrite, timeouts},
    route_match::http_match,
    values::{blocks, port},
};
use crate::virtual_route::{self, BackendRef, VirtualRouteSpec};

/// The rules of a route, in order. Backends are not looked up yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RouteRules {
    pub(crate) http: Vec<HttpRule>,
    pub(crate) tcp: Vec<TcpRule>,
}

/// Translates the rules of the route `namespace/name`.
pub(crate) fn route(
    namespace: &str,
    name: &str,
    spec: &VirtualRouteSpec,
    findings: &mut Findings<'_>,
) -> RouteRules {
    if spec.http.is_empty() == spec.tcp.is_empty() {
        findings.invalid(
            "spec.http",
            "a route speaks one protocol",
            "give exactly one of http and tcp",
        );
    }
    if spec.parent_refs.is_empty() {
        findings.invalid(
            "spec.parentRefs",
            "a route without parent steers nothing",
            "name a Service or a Gateway",
        );
    }
    let id = |rule: Option<&str>, at: usize| match rule {
        Some(rule) => format!("{namespace}/{name}/{rule}"),
        None => format!("{namespace}/{name}/{at}"),
    };
    let http = spec
        .http
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            let field = format!("spec.http[{at}]");
            HttpRule {
                id: id(rule.name.as_deref(), at),
                hostnames: spec.hostnames.clone(),
                matches: rule.matches.iter().map(http_match).collect(),
                request_headers: header_changes(rule.request_headers.as_ref()),
                response_headers: header_changes(rule.response_headers.as_ref()),
                rewrite: rewrite(rule.rewrite.as_ref(), &field, findings),
                action: action(namespace, rule, &field, findings),
                timeouts: timeouts(rule.timeouts.as_ref(), &field, findings),
                retry: retry(rule.retry.as_ref(), &field, findings),
            }
        })
        .collect();
    let tcp = spec
        .tcp
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            let field = format!("spec.tcp[{at}]");
            TcpRule {
                id: id(rule.name.as_deref(), at),
                matches: tcp_matches(rule, &field, findings),
                backends: backends(namespace, &rule.backend_refs, &field, findings),
            }
        })
        .collect();
    RouteRules { http, tcp }
}

fn tcp_matches(
    rule: &virtual_route::TcpRule,
    field: &str,
    findings: &mut Findings<'_>,
) -> Vec<TcpMatch> {
    rule.matches
        .iter()
        .enumerate()
        .map(|(at, entry)| {
            let field = format!("{field}.matches[{at}]");
            TcpMatch {
                ports: entry
                    .ports
                    .iter()
                    .filter_map(|value| port(*value, &format!("{field}.ports"), findings))
                    .collect(),
                destination_cidrs: blocks(
                    &entry.destination_cidrs,
                    &format!("{field}.destinationCIDRs"),
                    findings,
                ),
            }
        })
        .collect()
}

/// Backends as they are written; whether they exist is the World's to say.
pub(super) fn backends(
    namespace: &str,
    refs: &[BackendRef],
    field: &str,
    findings: &mut Findings<'_>,
) -> Vec<Backend> {
    refs.iter()
        .enumerate()
        .map(|(at, backend)| {
            let field = format!("{field}.backendRefs[{at}]");
            let weight = u32::try_from(backend.weight)
                .ok()
                .filter(|weight| *weight <= 1_000_000);
            if weight.is_none() {
                findings.invalid(
                    format!("{field}.weight"),
                    format!("{} is no weight", backend.weight),
                    "use 0 to 1000000",
                );
            }
            Backend {
                service: ServiceRef {
                    namespace: backend
                        .namespace
                        .clone()
                        .unwrap_or_else(|| namespace.to_owned()),
                    name: backend.name.clone(),
                    port: port(backend.port, &format!("{field}.port"), findings)
                        .unwrap_or_default(),
                },
                weight: weight.unwrap_or_default(),
                labels: (&backend.labels).into(),
                invalid: false,
            }
        })
        .collect()
}

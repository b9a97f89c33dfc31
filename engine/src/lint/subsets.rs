//! Backends whose labels no endpoint has.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    compile::rule_name,
    documents::{Backend, Document, Endpoint, HttpAction},
    problem::{Code, Problem, Severity},
};

/// A service, as `(namespace, name)`.
type Name<'d> = (&'d str, &'d str);

/// Of services whose endpoints are known, and are any: a service that has none yet is not there
/// yet, and says nothing about what will be.
pub(super) fn lint(documents: &[&Document], problems: &mut Vec<Problem>) {
    let mut endpoints: BTreeMap<Name<'_>, Vec<&Endpoint>> = BTreeMap::new();
    for document in documents {
        if let Document::Endpoints(shard) = document {
            endpoints
                .entry((&shard.namespace, &shard.name))
                .or_default()
                .extend(shard.groups.iter().flat_map(|group| &group.endpoints));
        }
    }
    endpoints.retain(|_, known| !known.is_empty());
    if endpoints.is_empty() {
        return;
    }
    let mut empty = Empty {
        endpoints,
        told: BTreeSet::new(),
        problems,
    };
    for document in documents {
        match document {
            Document::Service(service) => {
                for port in &service.ports {
                    for rule in port.http.iter().flat_map(|scope| &scope.rules) {
                        empty.http(&rule.id, &rule.action);
                    }
                    for rule in port.tcp.iter().flat_map(|scope| &scope.rules) {
                        empty.backends("tcp", &rule.id, &rule.backends);
                    }
                }
            }
            Document::Gateway(gateway) => {
                for rule in gateway.listeners.iter().flat_map(|listener| &listener.http) {
                    empty.http(&rule.id, &rule.action);
                }
            }
            _ => {}
        }
    }
}

/// The search for empty subsets.
struct Empty<'d, 'p> {
    endpoints: BTreeMap<Name<'d>, Vec<&'d Endpoint>>,
    /// Rules and backends that were looked at: a rule stands in a document for each port.
    told: BTreeSet<(&'d str, usize)>,
    problems: &'p mut Vec<Problem>,
}

impl<'d> Empty<'d, '_> {
    fn http(&mut self, rule: &'d str, action: &'d HttpAction) {
        if let HttpAction::Forward(backends) = action {
            self.backends("http", rule, backends);
        }
    }

    fn backends(&mut self, kind: &str, rule: &'d str, backends: &'d [Backend]) {
        for (at, backend) in backends.iter().enumerate() {
            let service = &backend.service;
            let Some(known) = self.endpoints.get(&(&*service.namespace, &*service.name)) else {
                continue;
            };
            // Without a weight it draws nothing: the other end of a shift that has not begun.
            let idle = backend.weight == 0 || backend.labels.is_empty();
            if idle || !self.told.insert((rule, at)) {
                continue;
            }
            let is_in = |endpoint: &&Endpoint| backend.labels.are_within(&endpoint.labels);
            if known.iter().any(is_in) {
                continue;
            }
            let wanted: Vec<_> = backend
                .labels
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            let name = rule_name(rule);
            let route = rule.strip_suffix(name).unwrap_or(rule);
            self.problems.push(Problem {
                severity: Severity::Warning,
                code: Code::BackendNotFound,
                object: format!("VirtualRoute {}", route.trim_end_matches('/')),
                field: format!("spec.{kind}[{name}].backendRefs[{at}].labels"),
                message: format!(
                    "no endpoint of {}/{} has {}",
                    service.namespace,
                    service.name,
                    wanted.join(",")
                ),
                fix: "correct the labels, or start such pods; until then what draws this backend gets 503"
                    .to_owned(),
            });
        }
    }
}

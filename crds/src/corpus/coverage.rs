use std::collections::BTreeMap;

use weft_engine::{
    documents::{AuthorizationPolicy, Document, HttpRule, TcpRule},
    journey::Outcome,
};

/// The rules of a set of documents (`namespace/object/rule`), and how many calls each decided.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<String, usize>);

impl Coverage {
    /// The rules of `documents`, none of them exercised.
    pub fn of<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Self {
        let mut coverage = Self::default();
        for document in documents {
            match document {
                Document::Service(service) => {
                    for port in &service.ports {
                        coverage.http(port.http.iter().flat_map(|scope| &scope.rules));
                        coverage.tcp(port.tcp.iter().flat_map(|scope| &scope.rules));
                    }
                }
                Document::Gateway(gateway) => {
                    for listener in &gateway.listeners {
                        coverage.http(listener.http.iter());
                    }
                    coverage.policies(&gateway.authorization);
                }
                Document::Inbound(inbound) => coverage.policies(&inbound.authorization),
                Document::Mesh(mesh) => coverage.policies(&mesh.authorization),
                Document::Index(_) | Document::Addresses(_) | Document::Endpoints(_) => {}
            }
        }
        coverage
    }

    /// Counts the rules that decided a call.
    pub fn record(&mut self, outcome: &Outcome) {
        for step in outcome.steps.iter().filter(|step| step.matched) {
            if let Some(count) = self.0.get_mut(&step.rule) {
                *count += 1;
            }
        }
    }

    /// Adds another set's rules and counts.
    pub fn add(&mut self, other: &Self) {
        for (rule, count) in &other.0 {
            *self.0.entry(rule.clone()).or_default() += count;
        }
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.0.len()
    }

    /// The rules that no call has exercised.
    pub fn unexercised(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(rule, _)| rule.as_str())
    }

    fn http<'d>(&mut self, rules: impl Iterator<Item = &'d HttpRule>) {
        self.0.extend(rules.map(|rule| (rule.id.clone(), 0)));
    }

    fn tcp<'d>(&mut self, rules: impl Iterator<Item = &'d TcpRule>) {
        self.0.extend(rules.map(|rule| (rule.id.clone(), 0)));
    }

    fn policies(&mut self, policies: &[AuthorizationPolicy]) {
        for policy in policies {
            for rule in &policy.rules {
                self.0.insert(format!("{}/{}", policy.id, rule.name), 0);
            }
        }
    }
}

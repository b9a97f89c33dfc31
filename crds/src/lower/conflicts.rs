//! Two routes that claim the same requests: the older wins, the younger says so.

use std::collections::BTreeMap;

use weft_engine::{
    documents::{HttpRule, TcpRule},
    problem::{Code, Severity},
};

use super::Lowered;
use crate::{
    object::{Kind, ObjectRef},
    world::Name,
};

/// The claims of one parent's port or listener, in order of precedence.
#[derive(Default)]
pub(super) struct Claims {
    /// What is claimed, as canonical text → the route and the rule that claimed it first.
    taken: BTreeMap<String, (Name, String)>,
}

impl Claims {
    pub(super) fn http(&mut self, route: &Name, rule: &HttpRule, at: usize, lowered: &mut Lowered) {
        // A match that two hostnames share is claimed for each.
        let hosts: Vec<&str> = match rule.hostnames.as_slice() {
            [] => vec!["*"],
            hosts => hosts.iter().map(String::as_str).collect(),
        };
        let all = [Default::default()];
        let matches = match rule.matches.as_slice() {
            [] => &all,
            matches => matches,
        };
        for (index, entry) in matches.iter().enumerate() {
            let text = serde_json::to_string(entry).unwrap_or_default();
            for host in &hosts {
                let field = format!("spec.http[{at}].matches[{index}]");
                self.claim(route, &rule.id, format!("{host} {text}"), field, lowered);
            }
        }
    }

    pub(super) fn tcp(&mut self, route: &Name, rule: &TcpRule, at: usize, lowered: &mut Lowered) {
        let all = [Default::default()];
        let matches = match rule.matches.as_slice() {
            [] => &all,
            matches => matches,
        };
        for (index, entry) in matches.iter().enumerate() {
            let text = serde_json::to_string(entry).unwrap_or_default();
            let field = format!("spec.tcp[{at}].matches[{index}]");
            self.claim(route, &rule.id, text, field, lowered);
        }
    }

    fn claim(
        &mut self,
        route: &Name,
        rule: &str,
        what: String,
        field: String,
        lowered: &mut Lowered,
    ) {
        let (winner, first) = self
            .taken
            .entry(what)
            .or_insert_with(|| (route.clone(), rule.to_owned()));
        // Within one route the lint tells of rules that never win.
        if winner != route {
            let object = ObjectRef::new(Kind::VirtualRoute, &*route.0, &*route.1);
            let message = format!("the rule {first} of an older route matches exactly the same");
            lowered.problem(
                Severity::Error,
                Code::Conflicted,
                &object,
                field,
                message,
                "change one of the matches, or remove one",
            );
        }
    }
}

//! What a Gateway of class `weft` is told of itself (Gateway API, GatewayStatus).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weft_engine::{
    documents::{Document, GatewayDocument},
    problem::{Problem, Severity},
};

use super::Condition;
use crate::{Key, ObjectRef, World, lower::lower, object::Kind};

/// A Gateway's status, as far as the mesh writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// `Accepted` and `Programmed`.
    pub conditions: Vec<Condition>,
    /// Its listeners, in order.
    pub listeners: Vec<ListenerStatus>,
}

/// A listener's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The kinds of routes that it takes.
    pub supported_kinds: Vec<RouteKind>,
    /// Routes that have a rule there.
    pub attached_routes: i32,
    /// `Accepted`, `ResolvedRefs`, `Conflicted` and `Programmed`.
    pub conditions: Vec<Condition>,
}

/// A kind of routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteKind {
    /// Its API group.
    pub group: String,
    /// Its name.
    pub kind: String,
}

impl World {
    /// The status of a Gateway whose documents are published; `None`: it is not there, or not
    /// of our class. `previous`: the one that stands; what is the same keeps its time. `now`: RFC
    /// 3339 in UTC with seconds.
    pub fn gateway_status(
        &self,
        gateway: &ObjectRef,
        previous: Option<&GatewayStatus>,
        now: &str,
    ) -> Option<GatewayStatus> {
        let name = (gateway.namespace.clone(), gateway.name.clone());
        let facts = self.inventory.gateways.get(&name)?;
        let lowered = lower(self, &Key::Gateway(name.0, name.1));
        let document = lowered.documents.into_iter().find_map(|(_, document)| {
            let Document::Gateway(document) = document else {
                return None;
            };
            Some(document)
        })?;
        let object = ObjectRef::new(Kind::Gateway, &*gateway.namespace, &*gateway.name);
        let object = object.to_string();
        let problems: Vec<&Problem> = lowered
            .problems
            .iter()
            .filter(|problem| problem.object == object && problem.severity == Severity::Error)
            .collect();
        let writer = Writer {
            generation: facts.generation,
            now,
        };
        let mut valid = true;
        let listeners = facts.listeners.iter().enumerate().map(|(at, listener)| {
            let field = format!("spec.listeners[{at}]");
            let problem = problems
                .iter()
                .find(|problem| problem.field.starts_with(&field));
            valid &= problem.is_none();
            let previous = previous
                .into_iter()
                .flat_map(|status| &status.listeners)
                .find(|previous| previous.name == listener.name)
                .map_or(&[][..], |previous| &previous.conditions);
            ListenerStatus {
                name: listener.name.clone(),
                supported_kinds: vec![RouteKind {
                    group: crate::GROUP.to_owned(),
                    kind: Kind::VirtualRoute.to_string(),
                }],
                attached_routes: attached(&document, &listener.name),
                conditions: writer.listener(problem.copied(), previous),
            }
        });
        let listeners: Vec<_> = listeners.collect();
        let served = listeners.len() - problems.len().min(listeners.len());
        let previous = previous.map_or(&[][..], |status| &status.conditions);
        Some(GatewayStatus {
            conditions: writer.gateway(valid, served, previous),
            listeners,
        })
    }
}

/// Routes of which some rule stands at a listener.
fn attached(document: &GatewayDocument, listener: &str) -> i32 {
    let rules = document
        .listeners
        .iter()
        .filter(|known| known.name == listener)
        .flat_map(|listener| &listener.http);
    // `namespace/route/rule`
    let routes: BTreeSet<Vec<&str>> = rules
        .map(|rule| rule.id.splitn(3, '/').take(2).collect())
        .collect();
    i32::try_from(routes.len()).unwrap_or(i32::MAX)
}

/// Writes conditions with their times.
struct Writer<'a> {
    generation: i64,
    now: &'a str,
}

impl Writer<'_> {
    fn gateway(&self, valid: bool, served: usize, previous: &[Condition]) -> Vec<Condition> {
        let accepted = match valid {
            true => (
                "Accepted",
                "it is served by proxies that run as this Gateway",
            ),
            false => (
                "ListenersNotValid",
                "not every listener can be served; their conditions say why",
            ),
        };
        let programmed = match served > 0 {
            true => (true, "Programmed", "its document is published"),
            false => (false, "Invalid", "it has no listener that can be served"),
        };
        vec![
            self.condition("Accepted", (served > 0, accepted.0, accepted.1), previous),
            self.condition("Programmed", programmed, previous),
        ]
    }

    fn listener(&self, problem: Option<&Problem>, previous: &[Condition]) -> Vec<Condition> {
        let why = problem.map(Problem::said);
        let why = why.as_deref();
        let accepted = match why {
            None => (true, "Accepted", "it is served"),
            Some(why) => (false, "UnsupportedProtocol", why),
        };
        let programmed = match why {
            None => (true, "Programmed", "its routes are published"),
            Some(why) => (false, "Invalid", why),
        };
        vec![
            self.condition("Accepted", accepted, previous),
            self.condition(
                "Conflicted",
                (false, "NoConflicts", "no other listener claims the same"),
                previous,
            ),
            self.condition("Programmed", programmed, previous),
            self.condition(
                "ResolvedRefs",
                (true, "ResolvedRefs", "every reference was found"),
                previous,
            ),
        ]
    }

    fn condition(
        &self,
        kind: &str,
        (holds, reason, message): (bool, &str, &str),
        previous: &[Condition],
    ) -> Condition {
        let status = if holds { "True" } else { "False" };
        let since = previous
            .iter()
            .find(|condition| condition.kind == kind && condition.status == status)
            .map_or(self.now, |condition| &condition.last_transition_time);
        Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            observed_generation: Some(self.generation),
            last_transition_time: since.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }
}

//! The routes of a parent, in order of precedence, with their backends looked up.

use weft_engine::{
    documents::{Backend, HttpAction, HttpRule, TcpRule},
    problem::{Code, Severity},
};

use super::Lowered;
use crate::{
    object::{Kind, ObjectRef},
    world::{Name, RouteFacts, Target, World},
};

/// The routes attached to a parent: older first, then by name.
pub(super) fn attached<'w>(world: &'w World, target: &Target) -> Vec<(Name, &'w RouteFacts)> {
    let mut routes: Vec<_> = world
        .attached(target, Kind::VirtualRoute)
        .filter_map(|name| {
            let facts = world.routes.get(&name)?.facts.as_ref()?;
            Some((name, facts))
        })
        .collect();
    routes.sort_by(|(a, x), (b, y)| (x.age, a).cmp(&(y.age, b)));
    routes
}

/// A rule with its backends looked up.
pub(super) fn http(
    world: &World,
    route: &Name,
    rule: &HttpRule,
    at: usize,
    lowered: &mut Lowered,
) -> HttpRule {
    let mut rule = rule.clone();
    if let HttpAction::Forward(backends) = &mut rule.action {
        resolve(world, route, backends, &format!("spec.http[{at}]"), lowered);
    }
    rule
}

/// A rule with its backends looked up.
pub(super) fn tcp(
    world: &World,
    route: &Name,
    rule: &TcpRule,
    at: usize,
    lowered: &mut Lowered,
) -> TcpRule {
    let mut rule = rule.clone();
    let field = format!("spec.tcp[{at}]");
    resolve(world, route, &mut rule.backends, &field, lowered);
    rule
}

fn resolve(
    world: &World,
    route: &Name,
    backends: &mut [Backend],
    field: &str,
    lowered: &mut Lowered,
) {
    let object = ObjectRef::new(Kind::VirtualRoute, &*route.0, &*route.1);
    for (at, backend) in backends.iter_mut().enumerate() {
        let wanted = &backend.service;
        let service = (wanted.namespace.clone(), wanted.name.clone());
        let facts = world.inventory.services.get(&service);
        let (field, message) = match facts {
            None => (
                format!("{field}.backendRefs[{at}].name"),
                format!("there is no Service {}/{}", service.0, service.1),
            ),
            Some(facts) if facts.port(wanted.port).is_none() => (
                format!("{field}.backendRefs[{at}].port"),
                format!(
                    "the Service {}/{} has no TCP port {}",
                    service.0, service.1, wanted.port
                ),
            ),
            Some(_) => continue,
        };
        backend.invalid = true;
        lowered.problem(
            Severity::Error,
            Code::BackendNotFound,
            &object,
            field,
            message,
            "create it, or correct the reference; until then what draws this backend gets 500",
        );
    }
}

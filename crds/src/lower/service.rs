//! `service.<ns>.<name>`: a service as its clients see it.

use weft_engine::{
    documents::{Document, DocumentName, RouteScope, ServiceDocument, ServicePort},
    problem::{Code, Severity},
};

use super::{Lowered, client_policy, conflicts::Claims, protocol::carries, routes};
use crate::{
    object::{Kind, ObjectRef},
    reference::ParentKind,
    world::{Name, PortFacts, RouteFacts, ServiceFacts, Target, World},
};

pub(super) fn lower(world: &World, name: &Name, lowered: &mut Lowered) {
    let Some(facts) = world.inventory.services.get(name) else {
        return;
    };
    let routes = routes::attached(world, &Target::Service(name.clone()));
    for (route, route_facts) in &routes {
        refuse_uncarried(name, facts, route, route_facts, lowered);
    }
    let policies = client_policy::Candidates::of(world, name);
    let ports = facts
        .ports
        .iter()
        .map(|port| {
            let routes: Vec<_> = routes
                .iter()
                .filter(|(route, facts)| speaks_for(name, port.port, route, facts))
                .collect();
            ServicePort {
                port: port.port,
                name: port.name.clone(),
                protocol: port.protocol,
                http: scopes(name, &routes, |route, facts, claims| {
                    if !carries(port.protocol, true) {
                        return Vec::new();
                    }
                    let rules = facts.rules.http.iter().enumerate();
                    rules
                        .map(|(at, rule)| {
                            claims.http(route, rule, at, lowered);
                            routes::http(world, route, rule, at, lowered)
                        })
                        .collect()
                }),
                tcp: scopes(name, &routes, |route, facts, claims| {
                    if !carries(port.protocol, false) {
                        return Vec::new();
                    }
                    let rules = facts.rules.tcp.iter().enumerate();
                    rules
                        .map(|(at, rule)| {
                            claims.tcp(route, rule, at, lowered);
                            routes::tcp(world, route, rule, at, lowered)
                        })
                        .collect()
                }),
                policy: policies.merge(port.port, lowered),
            }
        })
        .collect();
    let document = ServiceDocument {
        namespace: name.0.clone(),
        name: name.1.clone(),
        cluster_ips: facts.cluster_ips.clone(),
        ports,
        // Bounded by the endpoints of a service, far below u32.
        endpoint_shards: u32::try_from(super::shards(&world.inventory, name)).unwrap_or(u32::MAX),
    };
    lowered.documents.push((
        DocumentName::Service(name.0.clone(), name.1.clone()),
        Document::Service(document),
    ));
}

/// Whether some parent reference of the route means this port.
fn speaks_for(service: &Name, port: u16, route: &Name, facts: &RouteFacts) -> bool {
    facts.parents.iter().any(|parent| {
        parent.kind == ParentKind::Service
            && parent.name == service.1
            && parent.namespace.as_ref().unwrap_or(&route.0) == &service.0
            && parent.port.is_none_or(|wanted| wanted == i32::from(port))
    })
}

/// Rules by whose traffic they steer: the producer's scope first, then each consumer namespace
/// in the order of its oldest route.
fn scopes<R>(
    service: &Name,
    routes: &[&(Name, &RouteFacts)],
    mut rules: impl FnMut(&Name, &RouteFacts, &mut Claims) -> Vec<R>,
) -> Vec<RouteScope<R>> {
    let mut scopes: Vec<(RouteScope<R>, Claims)> = Vec::new();
    for (route, facts) in routes {
        let client_namespace = (route.0 != service.0).then(|| route.0.clone());
        let at = scopes
            .iter()
            .position(|(scope, _)| scope.client_namespace == client_namespace);
        let mut entry = match at {
            Some(at) => scopes.remove(at),
            None => (
                RouteScope {
                    client_namespace,
                    rules: Vec::new(),
                },
                Claims::default(),
            ),
        };
        entry.0.rules.extend(rules(route, facts, &mut entry.1));
        scopes.insert(at.unwrap_or(scopes.len()), entry);
    }
    scopes
        .into_iter()
        .map(|(scope, _)| scope)
        .filter(|scope| !scope.rules.is_empty())
        .collect()
}

/// Rules that no port of the parent carries are refused, never dropped in silence.
fn refuse_uncarried(
    service: &Name,
    facts: &ServiceFacts,
    route: &Name,
    route_facts: &RouteFacts,
    lowered: &mut Lowered,
) {
    let meant: Vec<&PortFacts> = facts
        .ports
        .iter()
        .filter(|port| speaks_for(service, port.port, route, route_facts))
        .collect();
    for (http, field, empty) in [
        (true, "spec.http", route_facts.rules.http.is_empty()),
        (false, "spec.tcp", route_facts.rules.tcp.is_empty()),
    ] {
        if empty || meant.is_empty() || meant.iter().any(|port| carries(port.protocol, http)) {
            continue;
        }
        let (wanted, other) = if http {
            ("HTTP", "tcp")
        } else {
            ("TCP", "http")
        };
        lowered.problem(
            Severity::Error,
            Code::UnenforceableOnProtocol,
            &ObjectRef::new(Kind::VirtualRoute, &*route.0, &*route.1),
            field,
            format!(
                "no port of the Service {}/{} that it speaks for is declared as {wanted}",
                service.0, service.1
            ),
            format!("use {other} rules, or correct the port's appProtocol or name"),
        );
    }
}

//! `gateway.<ns>.<name>`: listeners and their routes.

use weft_engine::{
    documents::{Document, DocumentName, GatewayDocument, GatewayListener, HttpRule},
    problem::{Code, Severity},
};

use super::{Lowered, conflicts::Claims, inbound, routes};
use crate::{
    object::{self, AllowedFrom, Kind, ObjectRef},
    reference::{ParentKind, ParentRef},
    world::{Name, RouteFacts, Target, World},
};

pub(super) fn lower(world: &World, name: &Name, lowered: &mut Lowered) {
    let Some(facts) = world.inventory.gateways.get(name) else {
        return;
    };
    let target = Target::Gateway(name.clone());
    let routes = routes::attached(world, &target);
    for (route, facts_of_route) in &routes {
        refuse_unattached(name, &facts.listeners, route, facts_of_route, lowered);
    }
    let mut listeners = Vec::new();
    for (at, listener) in facts.listeners.iter().enumerate() {
        let Some(tls) = ends_tls(listener) else {
            lowered.problem(
                Severity::Error,
                Code::UnenforceableOnProtocol,
                &ObjectRef::new(Kind::Gateway, &*name.0, &*name.1),
                format!("spec.listeners[{at}].protocol"),
                format!("`{}` is not served", listener.protocol),
                "use HTTP, or HTTPS with tls.mode: Terminate",
            );
            continue;
        };
        let mut claims = Claims::default();
        let mut http = Vec::new();
        for (route, facts) in &routes {
            if !facts
                .parents
                .iter()
                .any(|parent| means(name, listener, route, parent))
                || !admits(name, listener, route)
            {
                continue;
            }
            for (at, rule) in facts.rules.http.iter().enumerate() {
                let Some(rule) = on(listener, rule) else {
                    continue;
                };
                claims.http(route, &rule, at, lowered);
                http.push(routes::http(world, route, &rule, at, lowered));
            }
        }
        listeners.push(GatewayListener {
            name: listener.name.clone(),
            port: listener.port,
            tls,
            hostname: listener.hostname.clone(),
            http,
        });
    }
    let document = GatewayDocument {
        namespace: name.0.clone(),
        name: name.1.clone(),
        listeners,
        authorization: inbound::authorization(world, [&target], lowered),
    };
    lowered.documents.push((
        DocumentName::Gateway(name.0.clone(), name.1.clone()),
        Document::Gateway(document),
    ));
}

/// Whether the listener ends TLS; `None`: it cannot be served.
fn ends_tls(listener: &object::GatewayListener) -> Option<bool> {
    let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_deref());
    match &*listener.protocol {
        "HTTP" => Some(false),
        "HTTPS" if mode.is_none_or(|mode| mode == "Terminate") => Some(true),
        _ => None,
    }
}

/// Whether a parent reference means this listener.
fn means(
    gateway: &Name,
    listener: &object::GatewayListener,
    route: &Name,
    parent: &ParentRef,
) -> bool {
    parent.kind == ParentKind::Gateway
        && parent.name == gateway.1
        && parent.namespace.as_ref().unwrap_or(&route.0) == &gateway.0
        && parent
            .section_name
            .as_ref()
            .is_none_or(|section| *section == listener.name)
}

/// Whether the listener takes routes of that namespace (Gateway API: its own, unless it says
/// otherwise).
fn admits(gateway: &Name, listener: &object::GatewayListener, route: &Name) -> bool {
    match listener.allowed_routes.namespaces.from {
        AllowedFrom::All => true,
        AllowedFrom::Same => gateway.0 == route.0,
        // Selecting namespaces by label is not served; taking none is the safe side.
        AllowedFrom::Selector | AllowedFrom::None => false,
    }
}

/// The rule with the hostnames that it can have on this listener; `None` when there is none.
fn on(listener: &object::GatewayListener, rule: &HttpRule) -> Option<HttpRule> {
    let Some(own) = listener.hostname.as_deref().filter(|own| !own.is_empty()) else {
        return Some(rule.clone());
    };
    if rule.hostnames.is_empty() {
        return Some(rule.clone());
    }
    let hostnames: Vec<String> = rule
        .hostnames
        .iter()
        .filter(|hostname| overlap(own, hostname))
        .cloned()
        .collect();
    (!hostnames.is_empty()).then(|| HttpRule {
        hostnames,
        ..rule.clone()
    })
}

/// Whether some host is meant by both patterns.
fn overlap(a: &str, b: &str) -> bool {
    let below = |pattern: &str, host: &str| {
        pattern
            .strip_prefix('*')
            .is_some_and(|suffix| host.trim_start_matches('*').ends_with(suffix))
    };
    a.eq_ignore_ascii_case(b) || below(a, b) || below(b, a)
}

/// A route that no listener takes says why.
fn refuse_unattached(
    gateway: &Name,
    listeners: &[object::GatewayListener],
    route: &Name,
    facts: &RouteFacts,
    lowered: &mut Lowered,
) {
    for (at, parent) in facts.parents.iter().enumerate() {
        let meant: Vec<_> = listeners
            .iter()
            .filter(|listener| means(gateway, listener, route, parent))
            .collect();
        // A Gateway or listener that is not there is in the World's report.
        if meant.is_empty() {
            continue;
        }
        let admitted: Vec<_> = meant
            .iter()
            .filter(|listener| admits(gateway, listener, route))
            .collect();
        let (message, fix) = if admitted.is_empty() {
            (
                format!(
                    "no listener of {}/{} takes routes of this namespace",
                    gateway.0, gateway.1
                ),
                "set allowedRoutes.namespaces.from: All on the listener, or move the route",
            )
        } else if !facts
            .rules
            .http
            .iter()
            .any(|rule| admitted.iter().any(|listener| on(listener, rule).is_some()))
        {
            (
                format!(
                    "no listener of {}/{} serves any of its hostnames",
                    gateway.0, gateway.1
                ),
                "correct hostnames, or the listener's hostname",
            )
        } else {
            continue;
        };
        lowered.problem(
            Severity::Error,
            Code::TargetNotFound,
            &ObjectRef::new(Kind::VirtualRoute, &*route.0, &*route.1),
            format!("spec.parentRefs[{at}]"),
            message,
            fix,
        );
    }
}

//! `inbound.<ns>`: the server-side policies of a namespace.

use weft_engine::{
    documents::{
        AuthorizationPolicy, Document, DocumentName, InboundDocument, InboundPort, Protocol,
        Selector,
    },
    problem::{Code, Severity},
};

use super::{
    Lowered, mtls,
    protocol::{has_http_conditions, none_speaks_http},
};
use crate::{
    object::{Kind, ObjectRef},
    reference::AuthTargetKind,
    world::{AuthFacts, Name, ServiceFacts, Target, World},
};

pub(super) fn lower(world: &World, namespace: &str, lowered: &mut Lowered) {
    if !world.inventory.namespaces.contains_key(namespace) {
        return;
    }
    let own = [
        Target::Namespace(namespace.to_owned()),
        Target::Pods(namespace.to_owned()),
    ];
    let targets = own.iter().chain(world.service_targets(namespace));
    let document = InboundDocument {
        namespace: namespace.to_owned(),
        ports: ports(world, namespace),
        mtls: mtls::namespace(world, namespace, Some(lowered)),
        authorization: authorization(world, targets, lowered),
    };
    lowered.documents.push((
        DocumentName::Inbound(namespace.to_owned()),
        Document::Inbound(document),
    ));
}

/// What the Services declare of their pods' ports. What is not declared is not said.
fn ports(world: &World, namespace: &str) -> Vec<InboundPort> {
    let mut ports = Vec::new();
    for (name, facts) in world.inventory.services_in(namespace) {
        if facts
            .selector
            .as_ref()
            .is_none_or(|labels| labels.is_empty())
        {
            continue;
        }
        for port in &facts.ports {
            if port.protocol == Protocol::Auto {
                continue;
            }
            for own in mtls::target_ports(world, name, port.port) {
                ports.push(InboundPort {
                    service: name.1.clone(),
                    selector: mtls::pods_of(facts),
                    port: own,
                    protocol: port.protocol,
                });
            }
        }
    }
    ports
}

/// The AuthPolicies of these targets, older first, each with the pods that it selects.
pub(super) fn authorization<'t>(
    world: &World,
    targets: impl IntoIterator<Item = &'t Target>,
    lowered: &mut Lowered,
) -> Vec<AuthorizationPolicy> {
    let targets: Vec<&Target> = targets.into_iter().collect();
    let mut names: Vec<Name> = targets
        .iter()
        .flat_map(|target| world.attached(target, Kind::AuthPolicy))
        .collect();
    names.sort();
    names.dedup();
    let mut policies: Vec<(Name, &AuthFacts)> = names
        .into_iter()
        .filter_map(|name| {
            let facts = world.auth_policies.get(&name)?.facts.as_ref()?;
            Some((name, facts))
        })
        .collect();
    policies.sort_by(|(x, f), (y, g)| (f.age, x).cmp(&(g.age, y)));
    let mut found = Vec::new();
    for (name, facts) in policies {
        let mut selectors = Vec::new();
        for target in &targets {
            select(world, &name, facts, target, &mut selectors, lowered);
        }
        found.extend(selectors.into_iter().map(|selector| AuthorizationPolicy {
            selector,
            ..facts.policy.clone()
        }));
    }
    found
}

/// The pods that a policy selects by one of its targets.
fn select(
    world: &World,
    name: &Name,
    facts: &AuthFacts,
    target: &Target,
    selectors: &mut Vec<Selector>,
    lowered: &mut Lowered,
) {
    let reference = ObjectRef::new(Kind::AuthPolicy, &*name.0, &*name.1);
    let http = has_http_conditions(&facts.policy);
    let mut refuse = |field: &str, what: &str| {
        lowered.problem(
            Severity::Error,
            Code::UnenforceableOnProtocol,
            &reference,
            field,
            format!("looks at HTTP, but {what} speaks none; an Allow rule with such conditions permits nothing there, a Deny rule refuses everything"),
            "use only ports and callers, or correct the port's appProtocol or name",
        );
    };
    if let (Target::Pods(namespace), Some(labels)) = (target, &facts.selector) {
        let behind = world
            .inventory
            .services_in(namespace)
            .map(|(_, service)| service)
            .filter(|service| selects_any(service, labels));
        if http && none_speaks_http(behind) {
            refuse("spec.selector", "no port of the selected pods");
        }
        selectors.push(Selector::Labels(labels.clone()));
    }
    for (at, wanted) in facts.targets.iter().enumerate() {
        let field = format!("spec.targetRefs[{at}]");
        match (target, wanted.kind) {
            (Target::Mesh, AuthTargetKind::Mesh) if name.0 == world.settings().root_namespace => {
                selectors.push(Selector::All);
            }
            (Target::Namespace(namespace), AuthTargetKind::Namespace)
                if wanted.name.as_ref().is_none_or(|of| of == namespace) =>
            {
                let services = world.inventory.services_in(namespace);
                if http && none_speaks_http(services.map(|(_, service)| service)) {
                    refuse(&field, "no port of the namespace");
                }
                selectors.push(Selector::All);
            }
            (Target::Service(service), AuthTargetKind::Service)
                if wanted.name.as_ref() == Some(&service.1) =>
            {
                // A Service that is not there yet has no pods; the report tells of it.
                let Some(service_facts) = world.inventory.services.get(service) else {
                    continue;
                };
                if http && none_speaks_http([service_facts]) {
                    refuse(&field, "no port of the Service");
                }
                selectors.push(mtls::pods_of(service_facts));
            }
            (Target::Gateway(gateway), AuthTargetKind::Gateway)
                if wanted.name.as_ref() == Some(&gateway.1) =>
            {
                selectors.push(Selector::All);
            }
            _ => {}
        }
    }
}

/// Whether a Service's pods are among those that have `labels`.
fn selects_any(
    service: &ServiceFacts,
    labels: &std::collections::BTreeMap<String, String>,
) -> bool {
    service.selector.as_ref().is_some_and(|selector| {
        !selector.is_empty()
            && selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    })
}

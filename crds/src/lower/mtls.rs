//! Who takes plaintext.

use weft_engine::documents::{MtlsMode, MtlsPolicy, Selector};

use super::{Lowered, client_policy::overridden};
use crate::{
    object::Kind,
    reference::MeshTargetKind,
    world::{MeshFacts, Name, ServiceFacts, Target, World},
};

/// How specific a setting is: a Service's port, then selected pods or a Service, then the
/// namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Port,
    Pods,
    Namespace,
}

/// The settings of a namespace, as its inbound document holds them. `lowered`: where to say
/// which of two contradicting ones stands.
pub(super) fn namespace(
    world: &World,
    namespace: &str,
    lowered: Option<&mut Lowered>,
) -> Vec<MtlsPolicy> {
    let mut found: Vec<(Level, &MeshFacts, Name, MtlsPolicy)> = Vec::new();
    for (name, facts) in policies(world, namespace) {
        let Some(setting) = &facts.mtls else { continue };
        let mut add = |level, selector, mode, ports| {
            let policy = MtlsPolicy {
                id: format!("{}/{}", name.0, name.1),
                selector,
                mode,
                ports,
            };
            found.push((level, facts, name.clone(), policy));
        };
        if let Some(labels) = &facts.selector {
            let selector = Selector::Labels(labels.clone());
            add(Level::Pods, selector, setting.mode, setting.ports.clone());
        }
        for target in &facts.targets {
            match target.kind {
                MeshTargetKind::Mesh => {}
                MeshTargetKind::Namespace => {
                    if target.name.as_deref().is_none_or(|of| of == namespace) {
                        let ports = setting.ports.clone();
                        add(Level::Namespace, Selector::All, setting.mode, ports);
                    }
                }
                MeshTargetKind::Service => {
                    let service = (
                        namespace.to_owned(),
                        target.name.clone().unwrap_or_default(),
                    );
                    let Some(service_facts) = world.inventory.services.get(&service) else {
                        continue;
                    };
                    let selector = pods_of(service_facts);
                    match target.port.map(u16::try_from) {
                        None => add(Level::Pods, selector, setting.mode, setting.ports.clone()),
                        Some(Ok(port)) => {
                            let mode = setting.mode.unwrap_or_default();
                            let ports = target_ports(world, &service, port)
                                .into_iter()
                                .map(|own| (own, mode))
                                .collect();
                            add(Level::Port, selector, None, ports);
                        }
                        Some(Err(_)) => {}
                    }
                }
            }
        }
    }
    found.sort_by(|(a, f, x, _), (b, g, y, _)| a.cmp(b).then((f.age, x).cmp(&(g.age, y))));
    if let Some(lowered) = lowered {
        contradictions(&found, lowered);
    }
    found.into_iter().map(|(_, _, _, policy)| policy).collect()
}

/// At one level, for the same pods, the older stands.
fn contradictions(found: &[(Level, &MeshFacts, Name, MtlsPolicy)], lowered: &mut Lowered) {
    for (at, (level, _, name, policy)) in found.iter().enumerate() {
        for (by, _, winner, winning) in found.iter().take(at) {
            if by != level || winner == name || winning.selector != policy.selector {
                continue;
            }
            if let (Some(a), Some(b)) = (winning.mode, policy.mode)
                && a != b
            {
                overridden(name, winner, "mtls.mode", lowered);
            }
            for (port, mode) in &policy.ports {
                if winning.ports.get(port).is_some_and(|other| other != mode) {
                    let field = match level {
                        Level::Port => "mtls.mode".to_owned(),
                        _ => format!("mtls.ports[{port}]"),
                    };
                    overridden(name, winner, &field, lowered);
                }
            }
        }
    }
}

/// The mode of the mesh-wide policies.
pub(super) fn mesh(world: &World, lowered: Option<&mut Lowered>) -> Option<MtlsMode> {
    let mut found: Vec<_> = world
        .attached(&Target::Mesh, Kind::MeshPolicy)
        .filter(|(namespace, _)| *namespace == world.settings().root_namespace)
        .filter_map(|name| {
            let facts = world.mesh_policies.get(&name)?.facts.as_ref()?;
            let mode = facts.mtls.as_ref()?.mode?;
            Some((facts.age, name, mode))
        })
        .collect();
    found.sort_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
    let (_, winner, mode) = found.first()?;
    if let Some(lowered) = lowered {
        for (_, name, other) in found.iter().skip(1).filter(|(_, _, other)| other != mode) {
            let _ = other;
            overridden(name, winner, "mtls.mode", lowered);
        }
    }
    Some(*mode)
}

/// The pods of a Service. One without selector has none that could be known by labels.
pub(super) fn pods_of(service: &ServiceFacts) -> Selector {
    Selector::Labels(service.selector.as_deref().cloned().unwrap_or_default())
}

/// The pods' own ports behind a Service's port: by number, else by name from the slices.
pub(super) fn target_ports(world: &World, service: &Name, port: u16) -> Vec<u16> {
    let Some(port) = world
        .inventory
        .services
        .get(service)
        .and_then(|facts| facts.port(port))
    else {
        return Vec::new();
    };
    if let Some(target) = port.target {
        return vec![target];
    }
    let name = port.name.as_deref().unwrap_or_default();
    let mut ports: Vec<u16> = world
        .inventory
        .slices(service)
        .filter_map(|slice| slice.ports.get(name).copied())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// MeshPolicies that speak for pods of a namespace.
fn policies<'w>(world: &'w World, namespace: &str) -> Vec<(Name, &'w MeshFacts)> {
    let mut names: Vec<Name> = world
        .attached(&Target::Namespace(namespace.to_owned()), Kind::MeshPolicy)
        .chain(world.attached(&Target::Pods(namespace.to_owned()), Kind::MeshPolicy))
        .collect();
    for target in world.service_targets(namespace) {
        names.extend(world.attached(target, Kind::MeshPolicy));
    }
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let facts = world.mesh_policies.get(&name)?.facts.as_ref()?;
            Some((name, facts))
        })
        .collect()
}

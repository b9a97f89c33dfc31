//! Merging MeshPolicies for clients: the most specific target wins, field by field; at one
//! level the older policy.

use std::collections::BTreeMap;

use weft_engine::{
    documents::ClientPolicy,
    problem::{Code, Severity},
};

use super::Lowered;
use crate::{
    object::{Kind, ObjectRef},
    reference::MeshTargetKind,
    translate::ClientField,
    world::{MeshFacts, Name, Target, World},
};

/// How specific a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Mesh,
    Namespace,
    Service,
    Port(u16),
}

/// The policies that may speak for the ports of a service.
pub(super) struct Candidates<'w> {
    /// Most specific first, then older, then by name.
    policies: Vec<(Level, Name, &'w MeshFacts)>,
}

impl<'w> Candidates<'w> {
    pub(super) fn of(world: &'w World, service: &Name) -> Self {
        let mut policies = Vec::new();
        for target in [
            Target::Mesh,
            Target::Namespace(service.0.clone()),
            Target::Service(service.clone()),
        ] {
            collect(world, &target, &service.1, &mut policies);
        }
        Self::sorted(policies)
    }

    fn sorted(mut policies: Vec<(Level, Name, &'w MeshFacts)>) -> Self {
        policies.sort_by(|(a, x, f), (b, y, g)| b.cmp(a).then((f.age, x).cmp(&(g.age, y))));
        Self { policies }
    }

    /// What they make of one port.
    pub(super) fn merge(&self, port: u16, lowered: &mut Lowered) -> ClientPolicy {
        let mut merged = ClientPolicy::default();
        let mut set = BTreeMap::<&str, (&Level, &Name, &ClientField)>::new();
        for (level, name, facts) in &self.policies {
            if matches!(level, Level::Port(of) if *of != port) {
                continue;
            }
            for field in &facts.client {
                match set.get(field.path) {
                    None => {
                        field.put(&mut merged);
                        set.insert(field.path, (level, name, field));
                    }
                    Some((by, winner, winning))
                        if *by == level && *winner != name && winning.contradicts(field) =>
                    {
                        overridden(name, winner, field.path, lowered);
                    }
                    Some(_) => {}
                }
            }
        }
        merged
    }
}

/// What the mesh-wide policies alone say.
pub(super) fn mesh(world: &World, lowered: &mut Lowered) -> ClientPolicy {
    let mut policies = Vec::new();
    collect(world, &Target::Mesh, "", &mut policies);
    Candidates::sorted(policies).merge(0, lowered)
}

/// Says of a policy that another one's field stands.
pub(super) fn overridden(loser: &Name, winner: &Name, field: &str, lowered: &mut Lowered) {
    lowered.problem(
        Severity::Warning,
        Code::Overridden,
        &ObjectRef::new(Kind::MeshPolicy, &*loser.0, &*loser.1),
        format!("spec.{field}"),
        format!(
            "the older MeshPolicy {}/{} sets it for the same target, and stands",
            winner.0, winner.1
        ),
        "set it in one of them, or give this one a more specific target",
    );
}

fn collect<'w>(
    world: &'w World,
    target: &Target,
    service: &str,
    policies: &mut Vec<(Level, Name, &'w MeshFacts)>,
) {
    for name in world.attached(target, Kind::MeshPolicy) {
        let Some(facts) = world
            .mesh_policies
            .get(&name)
            .and_then(|kept| kept.facts.as_ref())
        else {
            continue;
        };
        for reference in &facts.targets {
            let level = match (target, reference.kind) {
                (Target::Mesh, MeshTargetKind::Mesh)
                    if name.0 == world.settings().root_namespace =>
                {
                    Level::Mesh
                }
                (Target::Namespace(namespace), MeshTargetKind::Namespace)
                    if reference.name.as_ref().is_none_or(|of| of == namespace) =>
                {
                    Level::Namespace
                }
                (Target::Service(_), MeshTargetKind::Service)
                    if reference.name.as_deref() == Some(service) =>
                {
                    match reference.port.map(u16::try_from) {
                        None => Level::Service,
                        Some(Ok(port)) => Level::Port(port),
                        Some(Err(_)) => continue,
                    }
                }
                _ => continue,
            };
            policies.push((level, name.clone(), facts));
        }
    }
}

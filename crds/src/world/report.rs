//! What is known of an object of our own kinds, for its status.

use weft_engine::problem::{Code, Problem, Severity};

use super::{
    Report, World,
    facts::{Kept, Name, Target},
    touched::parent,
};
use crate::{
    object::{Kind, ObjectRef},
    reference::{AuthTargetKind, GATEWAY_GROUP, MeshTargetKind, ParentRef},
    status::AncestorRef,
    translate::Findings,
};

impl World {
    /// What is known of a route or policy; `None` when there is no such object.
    pub fn report(&self, reference: &ObjectRef) -> Option<Report> {
        let name = (reference.namespace.clone(), reference.name.clone());
        let mut report = Report::default();
        let mut problems = Vec::new();
        let findings = &mut Findings::new(reference, &mut problems);
        match reference.kind {
            Kind::VirtualRoute => {
                let kept = self.routes.get(&name)?;
                report.quarantine(
                    kept,
                    "the last good one stays in force",
                    "what is wrong in it is answered with 500",
                );
                for (at, parent) in kept
                    .facts
                    .iter()
                    .flat_map(|facts| &facts.parents)
                    .enumerate()
                {
                    let target = self.parent_target(&name.0, parent, at, findings);
                    report.targets.push(target);
                }
            }
            Kind::MeshPolicy => {
                let kept = self.mesh_policies.get(&name)?;
                report.quarantine(
                    kept,
                    "the last good one stays in force",
                    "only its mtls applies, and what cannot be read of that is Strict",
                );
                if let Some(facts) = &kept.facts {
                    let targets = facts.targets.iter().map(|target| {
                        let aim = match target.kind {
                            MeshTargetKind::Mesh => Aim::Mesh,
                            MeshTargetKind::Namespace => Aim::Namespace,
                            MeshTargetKind::Service => Aim::Service(target.port),
                        };
                        (aim, target.name.as_deref())
                    });
                    let selects = facts.selector.is_some();
                    report.targets = self.policy_targets(&name.0, selects, targets, findings);
                }
            }
            Kind::AuthPolicy => {
                let kept = self.auth_policies.get(&name)?;
                report.quarantine(
                    kept,
                    "the last good one stays in force",
                    "it fails closed: an Allow permits nothing, a Deny or what cannot be read refuses everything",
                );
                if let Some(facts) = &kept.facts {
                    let targets = facts.targets.iter().map(|target| {
                        let aim = match target.kind {
                            AuthTargetKind::Mesh => Aim::Mesh,
                            AuthTargetKind::Namespace => Aim::Namespace,
                            AuthTargetKind::Gateway => Aim::Gateway,
                            AuthTargetKind::Service => Aim::Service(None),
                        };
                        (aim, target.name.as_deref())
                    });
                    let selects = facts.selector.is_some();
                    report.targets = self.policy_targets(&name.0, selects, targets, findings);
                }
            }
            _ => return None,
        }
        match reference.kind {
            Kind::AuthPolicy => self.outside_auth(&name, findings),
            Kind::MeshPolicy => self.outside_mesh(&name, findings),
            _ => {}
        }
        report.problems.extend(problems);
        Some(report)
    }

    /// What a policy of the namespace `own` is for.
    fn policy_targets<'t>(
        &self,
        own: &str,
        selects: bool,
        targets: impl Iterator<Item = (Aim, Option<&'t str>)>,
        findings: &mut Findings<'_>,
    ) -> Vec<(AncestorRef, bool)> {
        let mut found = Vec::new();
        found.extend(selects.then(|| selected(own)));
        for (at, (aim, wanted)) in targets.enumerate() {
            let field = format!("spec.targetRefs[{at}]");
            let named = (own.to_owned(), wanted.unwrap_or("").to_owned());
            found.push(match aim {
                Aim::Mesh => self.mesh_target(own, at, findings),
                Aim::Namespace => namespace_target(own, wanted, at, findings),
                Aim::Gateway => self.gateway_target(&named, None, &field, findings),
                Aim::Service(port) => self.service_target(&named, port, &field, findings),
            });
        }
        found
    }

    fn parent_target(
        &self,
        namespace: &str,
        reference: &ParentRef,
        at: usize,
        findings: &mut Findings<'_>,
    ) -> (AncestorRef, bool) {
        let field = format!("spec.parentRefs[{at}]");
        match parent(namespace, reference) {
            Target::Gateway(gateway) => {
                let listener = reference.section_name.as_deref();
                self.gateway_target(&gateway, listener, &field, findings)
            }
            Target::Service(service) => {
                self.service_target(&service, reference.port, &field, findings)
            }
            _ => (AncestorRef::default(), false),
        }
    }

    fn service_target(
        &self,
        service: &Name,
        port: Option<i32>,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> (AncestorRef, bool) {
        let facts = self.inventory.services.get(service);
        let number = port.and_then(|port| u16::try_from(port).ok());
        let has_port = |port| facts.is_some_and(|facts| facts.port(port).is_some());
        let found = match (facts, port) {
            (None, _) => {
                missing(
                    field,
                    format!("there is no Service {}/{}", service.0, service.1),
                    "create it, or correct the name",
                    findings,
                );
                false
            }
            (Some(_), Some(port)) if !number.is_some_and(has_port) => {
                missing(
                    &format!("{field}.port"),
                    format!(
                        "the Service {}/{} has no TCP port {port}",
                        service.0, service.1
                    ),
                    "name one of the Service's ports, or leave port out",
                    findings,
                );
                false
            }
            (Some(_), _) => true,
        };
        let ancestor = AncestorRef {
            kind: "Service".to_owned(),
            namespace: Some(service.0.clone()),
            name: service.1.clone(),
            port,
            ..AncestorRef::default()
        };
        (ancestor, found)
    }

    fn gateway_target(
        &self,
        gateway: &Name,
        listener: Option<&str>,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> (AncestorRef, bool) {
        let found = match (self.inventory.gateways.get(gateway), listener) {
            (None, _) => {
                missing(
                    field,
                    format!(
                        "there is no Gateway {}/{} of class weft",
                        gateway.0, gateway.1
                    ),
                    "create it with gatewayClassName: weft, or correct the name",
                    findings,
                );
                false
            }
            (Some(facts), Some(listener))
                if !facts.listeners.iter().any(|known| known.name == listener) =>
            {
                missing(
                    &format!("{field}.sectionName"),
                    format!(
                        "the Gateway {}/{} has no listener {listener}",
                        gateway.0, gateway.1
                    ),
                    "name one of its listeners, or leave sectionName out",
                    findings,
                );
                false
            }
            (Some(_), _) => true,
        };
        let ancestor = AncestorRef {
            group: GATEWAY_GROUP.to_owned(),
            kind: "Gateway".to_owned(),
            namespace: Some(gateway.0.clone()),
            name: gateway.1.clone(),
            section_name: listener.map(str::to_owned),
            ..AncestorRef::default()
        };
        (ancestor, found)
    }

    fn mesh_target(
        &self,
        namespace: &str,
        at: usize,
        findings: &mut Findings<'_>,
    ) -> (AncestorRef, bool) {
        let root = &self.settings.root_namespace;
        let found = namespace == root;
        if !found {
            // Nothing that may yet be created makes it right.
            findings.invalid(
                format!("spec.targetRefs[{at}].kind"),
                format!("only a policy in {root} speaks for the whole mesh"),
                format!("move it to {root}, or target the Namespace"),
            );
        }
        let ancestor = AncestorRef {
            group: crate::GROUP.to_owned(),
            kind: "Mesh".to_owned(),
            name: "mesh".to_owned(),
            ..AncestorRef::default()
        };
        (ancestor, found)
    }
}

/// What a policy's target is, whichever kind of policy.
enum Aim {
    Mesh,
    Namespace,
    Gateway,
    /// With its port, where one is named.
    Service(Option<i32>),
}

impl Report {
    fn quarantine<F>(&mut self, kept: &Kept<F>, with_meaning: &str, without: &str) {
        self.generation = kept.generation;
        let stands = if kept.good { with_meaning } else { without };
        self.problems
            .extend(kept.refused.iter().map(|problem| Problem {
                message: format!(
                    "{} (generation {} is refused; {stands})",
                    problem.message, kept.generation
                ),
                ..problem.clone()
            }));
    }
}

fn missing(field: &str, message: String, fix: &str, findings: &mut Findings<'_>) {
    findings.add(Severity::Error, Code::TargetNotFound, field, message, fix);
}

fn namespace_target(
    own: &str,
    wanted: Option<&str>,
    at: usize,
    findings: &mut Findings<'_>,
) -> (AncestorRef, bool) {
    let found = wanted.is_none_or(|wanted| wanted == own);
    if !found {
        findings.invalid(
            format!("spec.targetRefs[{at}].name"),
            format!("a policy in {own} speaks for no other namespace"),
            "leave name out, or put the policy into that namespace",
        );
    }
    let ancestor = AncestorRef {
        kind: "Namespace".to_owned(),
        name: wanted.unwrap_or(own).to_owned(),
        ..AncestorRef::default()
    };
    (ancestor, found)
}

/// Selected pods come and go; their namespace stands for them.
fn selected(namespace: &str) -> (AncestorRef, bool) {
    let ancestor = AncestorRef {
        kind: "Namespace".to_owned(),
        name: namespace.to_owned(),
        ..AncestorRef::default()
    };
    (ancestor, true)
}

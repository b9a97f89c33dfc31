//! Pods that a policy selects and that have no proxy: whatever it says, nothing is enforced there.

use std::collections::BTreeMap;

use weft_engine::problem::{Code, Severity};

use super::{
    World,
    facts::{Name, PodFacts, Target},
};
use crate::{
    object::Kind,
    reference::{AuthTargetKind, MeshTargetKind},
    translate::Findings,
};

/// Pods that are named; the message says how many there are.
const NAMED: usize = 3;

/// How a policy selects pods, and in which field it says so.
type Selection = (String, BTreeMap<String, String>);

impl World {
    /// Tells of an AuthPolicy's pods that are outside the mesh.
    pub(super) fn outside_auth(&self, name: &Name, findings: &mut Findings<'_>) {
        let kept = self.auth_policies.get(name);
        let Some(facts) = kept.and_then(|kept| kept.facts.as_ref()) else {
            return;
        };
        let targets = facts.targets.iter().map(|target| match target.kind {
            AuthTargetKind::Namespace => Some(None),
            AuthTargetKind::Service => Some(target.name.as_deref()),
            AuthTargetKind::Mesh | AuthTargetKind::Gateway => None,
        });
        let selections = self.selections(&name.0, facts.selector.as_ref(), targets);
        self.outside(&name.0, selections, findings);
    }

    /// The same of a MeshPolicy that says who takes plaintext; what it says to clients does not
    /// depend on the pods.
    pub(super) fn outside_mesh(&self, name: &Name, findings: &mut Findings<'_>) {
        let kept = self.mesh_policies.get(name);
        let Some(facts) = kept.and_then(|kept| kept.facts.as_ref()) else {
            return;
        };
        if facts.mtls.as_ref().is_none_or(|mtls| mtls.disables()) {
            return;
        }
        let targets = facts.targets.iter().map(|target| match target.kind {
            MeshTargetKind::Namespace => Some(None),
            MeshTargetKind::Service => Some(target.name.as_deref()),
            MeshTargetKind::Mesh => None,
        });
        let selections = self.selections(&name.0, facts.selector.as_ref(), targets);
        self.outside(&name.0, selections, findings);
    }

    /// Targets: a Service's name, `Some(None)` for the whole namespace, `None` for no pods of it.
    fn selections<'a>(
        &self,
        namespace: &str,
        selector: Option<&BTreeMap<String, String>>,
        targets: impl Iterator<Item = Option<Option<&'a str>>>,
    ) -> Vec<Selection> {
        let mut found: Vec<Selection> = selector
            .map(|labels| ("spec.selector".to_owned(), labels.clone()))
            .into_iter()
            .collect();
        for (at, target) in targets.enumerate() {
            let labels = match target {
                None => continue,
                Some(None) => BTreeMap::new(),
                Some(Some(service)) => {
                    let service = (namespace.to_owned(), service.to_owned());
                    let facts = self.inventory.services.get(&service);
                    // Without a selector its pods cannot be known by labels.
                    match facts.and_then(|facts| facts.selector.as_deref()) {
                        Some(labels) if !labels.is_empty() => labels.clone(),
                        _ => continue,
                    }
                }
            };
            found.push((format!("spec.targetRefs[{at}]"), labels));
        }
        found
    }

    fn outside(&self, namespace: &str, selections: Vec<Selection>, findings: &mut Findings<'_>) {
        for (field, labels) in selections {
            let selected = |pod: &PodFacts| {
                let mut wanted = labels.iter();
                wanted.all(|(key, value)| pod.labels.get(key) == Some(value))
            };
            let pods = self
                .inventory
                .pods_in(namespace)
                .filter(|(_, pod)| selected(pod));
            let (mut all, mut outside) = (0, Vec::new());
            for ((_, name), pod) in pods {
                all += 1;
                if !pod.meshed {
                    outside.push(name.as_str());
                }
            }
            if outside.is_empty() {
                continue;
            }
            let count = outside.len();
            outside.truncate(NAMED);
            let more = if count > NAMED { ", …" } else { "" };
            findings.add(
                Severity::Warning,
                Code::OutsideMesh,
                field,
                format!(
                    "{count} of {all} selected pods have no proxy ({}{more}): nothing of it is enforced there",
                    outside.join(", ")
                ),
                "label the namespace weft.dev/inject: enabled and start them again, take weft.dev/inject: disabled off them, or select others; a pod on the host's network cannot be in the mesh",
            );
        }
    }

    /// Whether some policy may have something to say of a pod of this namespace.
    pub(super) fn has_policies(&self, namespace: &str) -> bool {
        let own = [
            Target::Namespace(namespace.to_owned()),
            Target::Pods(namespace.to_owned()),
        ];
        own.iter()
            .chain(self.service_targets(namespace))
            .flat_map(|target| self.attached.get(target))
            .flatten()
            .any(|(kind, _, _)| *kind != Kind::VirtualRoute)
    }
}

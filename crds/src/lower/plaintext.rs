//! Which pods take only plaintext, and where: what their clients have to know.

use std::collections::{BTreeMap, BTreeSet};

use weft_engine::{
    compile::CompiledInbound,
    documents::{InboundDocument, MeshDocument, MtlsMode},
    identity::{SpiffeId, Workload},
};

use super::mtls;
use crate::world::{Name, PodFacts, World};

/// Whether pods of a namespace take only plaintext, asked of the engine: it says the same to
/// the pods' own proxies.
pub(super) struct Plaintext {
    /// `None`: no policy switches mTLS off, so nobody need be asked.
    policies: Option<(InboundDocument, MeshDocument)>,
    /// By labels: pods with the same are asked once.
    compiled: BTreeMap<BTreeMap<String, String>, CompiledInbound>,
}

impl Plaintext {
    pub(super) fn of(world: &World, namespace: &str) -> Self {
        let policies = mtls::namespace(world, namespace, None);
        let mesh = mtls::mesh(world, None);
        let disables = mesh == Some(MtlsMode::Disabled)
            || policies.iter().any(|policy| {
                policy.mode == Some(MtlsMode::Disabled)
                    || policy
                        .ports
                        .values()
                        .any(|mode| *mode == MtlsMode::Disabled)
            });
        Self {
            policies: disables.then(|| {
                (
                    InboundDocument {
                        namespace: namespace.to_owned(),
                        mtls: policies,
                        ..InboundDocument::default()
                    },
                    MeshDocument {
                        mtls: mesh,
                        ..MeshDocument::default()
                    },
                )
            }),
            compiled: BTreeMap::new(),
        }
    }

    /// Whether a pod does on its own `port`: a policy says so, or its proxy leaves the port out.
    pub(super) fn takes_only(&mut self, namespace: &str, pod: &PodFacts, port: u16) -> bool {
        let left_out = pod.left_out.iter();
        let mut left_out = left_out.map(|(first, last)| *first..=*last);
        left_out.any(|range| range.contains(&port)) || self.by_policy(namespace, pod, port)
    }

    /// The ranges of its own ports where a pod does, ascending, apart from each other.
    pub(super) fn ranges(&mut self, namespace: &str, pod: &PodFacts) -> Vec<(u16, u16)> {
        let named: BTreeSet<u16> = self
            .policies
            .iter()
            .flat_map(|(inbound, _)| &inbound.mtls)
            .flat_map(|policy| policy.ports.keys().copied())
            .collect();
        let mut ranges = pod.left_out.clone();
        // No policy names port 0: what is true of it is true of every port that none names.
        if self.by_policy(namespace, pod, 0) {
            let mut next = 1;
            for port in named {
                if !self.by_policy(namespace, pod, port) {
                    ranges.extend(port.checked_sub(1).map(|last| (next, last)));
                    next = port.saturating_add(1);
                }
            }
            ranges.push((next, u16::MAX));
        } else {
            let plain = named
                .into_iter()
                .filter(|port| self.by_policy(namespace, pod, *port));
            ranges.extend(plain.map(|port| (port, port)));
        }
        merge(ranges)
    }

    fn by_policy(&mut self, namespace: &str, pod: &PodFacts, port: u16) -> bool {
        let Some((inbound, mesh)) = &self.policies else {
            return false;
        };
        let compiled = self
            .compiled
            .entry((*pod.labels).clone())
            .or_insert_with(|| {
                let workload = Workload {
                    namespace: namespace.to_owned(),
                    service_account: pod.service_account.clone(),
                    pod: String::new(),
                    labels: (*pod.labels).clone(),
                };
                CompiledInbound::compile(inbound, mesh, &workload).0
            });
        compiled.mtls(port) == MtlsMode::Disabled
    }
}

/// Sorted, without empty ones, and those that touch as one.
fn merge(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.retain(|(first, last)| first <= last);
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

impl World {
    /// The SPIFFE ID of a pod of the mesh; `None` of others.
    pub(super) fn identity_of(&self, name: &Name, pod: &PodFacts) -> Option<String> {
        if !pod.meshed {
            return None;
        }
        let trust_domain = &self.settings().trust_domain;
        let id = SpiffeId::new(trust_domain, &name.0, &pod.service_account).ok()?;
        Some(id.to_string())
    }
}

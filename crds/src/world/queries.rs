//! What others ask the World.

use std::collections::BTreeSet;

use weft_engine::documents::INDEX_SHARDS;

use super::{
    Key, World,
    facts::{Name, Target},
};
use crate::object::{Kind, ObjectRef};

/// A service account that needs an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccountRef<'w> {
    /// Its namespace.
    pub namespace: &'w str,
    /// Its name.
    pub name: &'w str,
    /// The uid of the ServiceAccount; `None` where only a Pod names it, or no API server gave
    /// one.
    pub uid: Option<&'w str>,
}

impl World {
    /// Every key that has documents.
    pub fn keys(&self) -> BTreeSet<Key> {
        let inventory = &self.inventory;
        let services = inventory.services.keys().flat_map(|(namespace, name)| {
            [
                Key::Service(namespace.clone(), name.clone()),
                Key::Endpoints(namespace.clone(), name.clone()),
            ]
        });
        (0..INDEX_SHARDS)
            .map(Key::Index)
            .chain(inventory.address_shards().into_iter().map(Key::Addresses))
            .chain([Key::Mesh])
            .chain(services)
            .chain(inventory.namespaces.keys().cloned().map(Key::Inbound))
            .chain(
                inventory
                    .gateways
                    .keys()
                    .map(|(namespace, name)| Key::Gateway(namespace.clone(), name.clone())),
            )
            .collect()
    }

    /// The routes and policies that have a say in a key's documents: their status may change
    /// when the key is lowered.
    pub fn objects_of(&self, key: &Key) -> BTreeSet<ObjectRef> {
        let mut found = BTreeSet::new();
        let mut add = |target: &Target, kinds: &[Kind]| {
            for (kind, namespace, name) in self.attached.get(target).into_iter().flatten() {
                if kinds.contains(kind) {
                    found.insert(ObjectRef::new(*kind, &**namespace, &**name));
                }
            }
        };
        const POLICIES: [Kind; 2] = [Kind::MeshPolicy, Kind::AuthPolicy];
        const OWN: [Kind; 3] = [Kind::VirtualRoute, Kind::MeshPolicy, Kind::AuthPolicy];
        match key {
            Key::Mesh => add(&Target::Mesh, &POLICIES),
            Key::Index(_) => {}
            // Where a policy switches mTLS off, clients are told with the endpoints and addresses.
            Key::Endpoints(namespace, _) => found = self.who_disables_mtls(namespace),
            Key::Addresses(shard) => {
                let pods = self.inventory.pods_in_shard(*shard);
                let namespaces: BTreeSet<&String> =
                    pods.map(|(_, (namespace, _), _)| namespace).collect();
                for namespace in namespaces {
                    found.extend(self.who_disables_mtls(namespace));
                }
            }
            Key::Service(namespace, name) => {
                add(&Target::Service((namespace.clone(), name.clone())), &OWN);
                add(&Target::Namespace(namespace.clone()), &[Kind::MeshPolicy]);
                add(&Target::Mesh, &[Kind::MeshPolicy]);
            }
            Key::Gateway(namespace, name) => {
                add(&Target::Gateway((namespace.clone(), name.clone())), &OWN);
            }
            Key::Inbound(namespace) => {
                add(&Target::Namespace(namespace.clone()), &POLICIES);
                add(&Target::Pods(namespace.clone()), &OWN);
                for target in self.service_targets(namespace) {
                    add(target, &POLICIES);
                }
            }
        }
        found
    }

    /// The policies that speak for pods of a namespace and switch mTLS off somewhere.
    fn who_disables_mtls(&self, namespace: &str) -> BTreeSet<ObjectRef> {
        let targets = [
            Target::Mesh,
            Target::Namespace(namespace.to_owned()),
            Target::Pods(namespace.to_owned()),
        ];
        targets
            .iter()
            .chain(self.service_targets(namespace))
            .flat_map(|target| self.attached(target, Kind::MeshPolicy))
            .map(|(namespace, name)| ObjectRef::new(Kind::MeshPolicy, namespace, name))
            .filter(|policy| self.disables_mtls(policy))
            .collect()
    }

    /// Whether one does.
    pub(super) fn switches_mtls_off(&self, namespace: &str) -> bool {
        !self.who_disables_mtls(namespace).is_empty()
    }

    fn disables_mtls(&self, policy: &ObjectRef) -> bool {
        let name = (policy.namespace.clone(), policy.name.clone());
        let facts = self.mesh_policies.get(&name);
        facts
            .and_then(|kept| kept.facts.as_ref()?.mtls.as_ref())
            .is_some_and(|mtls| mtls.disables())
    }

    /// The Services of a namespace that some route or policy speaks for, found or not.
    pub(crate) fn service_targets<'w>(
        &'w self,
        namespace: &str,
    ) -> impl Iterator<Item = &'w Target> + use<'w> {
        let namespace = namespace.to_owned();
        self.attached
            .range(Target::Service((namespace.clone(), String::new()))..)
            .map(|(target, _)| target)
            .take_while(
                move |target| matches!(target, Target::Service((of, _)) if *of == namespace),
            )
    }

    /// The keys that a route or policy has a say in: what must be published before it is
    /// programmed.
    pub fn keys_of(&self, reference: &ObjectRef) -> BTreeSet<Key> {
        self.trace(reference).keys
    }

    /// Every VirtualRoute, MeshPolicy and AuthPolicy, invalid ones included.
    pub fn objects(&self) -> BTreeSet<ObjectRef> {
        let of = |kind| move |(namespace, name): &Name| ObjectRef::new(kind, &**namespace, &**name);
        self.routes
            .keys()
            .map(of(Kind::VirtualRoute))
            .chain(self.mesh_policies.keys().map(of(Kind::MeshPolicy)))
            .chain(self.auth_policies.keys().map(of(Kind::AuthPolicy)))
            .collect()
    }

    /// Every service account that a Pod names or that exists, in order: who needs an identity.
    pub fn service_accounts(&self) -> impl Iterator<Item = ServiceAccountRef<'_>> {
        let accounts = self.inventory.accounts.iter();
        accounts.map(|((namespace, name), uid)| ServiceAccountRef {
            namespace,
            name,
            uid,
        })
    }

    /// The service account that a Pod runs as; `None`: there is no such Pod.
    pub fn account_of_pod(&self, namespace: &str, pod: &str) -> Option<&str> {
        let name = (namespace.to_owned(), pod.to_owned());
        let pod = self.inventory.pods.get(&name)?;
        Some(&pod.service_account)
    }

    /// How many Pods have a proxy.
    pub fn meshed_pods(&self) -> usize {
        let pods = self.inventory.pods.values();
        pods.filter(|pod| pod.meshed).count()
    }

    /// Differs from an earlier answer whenever [`Self::service_accounts`] does.
    pub fn service_accounts_version(&self) -> u64 {
        self.inventory.accounts.version()
    }
}

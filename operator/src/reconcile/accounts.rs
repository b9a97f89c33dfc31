use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use weft_crds::{Kind, Object, ObjectRef, World};

use crate::identity::{Account, Wanted};

/// The label by which a namespace joins the mesh.
const INJECT: &str = "weft.dev/inject";

/// Which namespaces' accounts are given an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// Every one: whoever wrote the manifests is asked for nothing more.
    All,
    /// Those labelled `weft.dev/inject: enabled`.
    Labelled,
}

/// Who needs an identity.
#[derive(Debug)]
pub(super) struct Accounts {
    joining: Joining,
    meshed: HashSet<String>,
    /// Whether other namespaces are meshed than when it was told last.
    stale: bool,
    /// The version of the World's accounts that was told last.
    told: Option<u64>,
    wanted: tokio::sync::watch::Sender<Wanted>,
}

impl Accounts {
    /// Nobody yet; `wanted` is told once the world is complete.
    pub(super) fn new(joining: Joining, wanted: tokio::sync::watch::Sender<Wanted>) -> Self {
        Self {
            joining,
            meshed: HashSet::new(),
            stale: true,
            told: None,
            wanted,
        }
    }

    /// Sees an object on its way into the world.
    pub(super) fn see(&mut self, object: &Object) {
        if let Object::Namespace(namespace) = object {
            let name = namespace.metadata.name.clone().unwrap_or_default();
            let joins = namespace
                .metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get(INJECT))
                .is_some_and(|value| value == "enabled")
                && namespace.metadata.deletion_timestamp.is_none();
            self.stale |= if joins {
                self.meshed.insert(name)
            } else {
                self.meshed.remove(&name)
            };
        }
    }

    /// Sees an object go.
    pub(super) fn see_gone(&mut self, object: &ObjectRef) {
        if object.kind == Kind::Namespace {
            self.stale |= self.meshed.remove(&object.name);
        }
    }

    /// Whether the last answer may be wrong.
    pub(super) fn is_stale(&self, world: &World) -> bool {
        self.stale || self.told != Some(world.service_accounts_version())
    }

    /// Tells who needs an identity, if that changed.
    pub(super) fn tell(&mut self, world: &World) {
        self.stale = false;
        self.told = Some(world.service_accounts_version());
        let wanted: BTreeMap<_, _> = world
            .service_accounts()
            .filter(|account| {
                self.joining == Joining::All || self.meshed.contains(account.namespace)
            })
            .map(|account| {
                let owner = account.uid.map(str::to_owned);
                let account = Account {
                    namespace: account.namespace.to_owned(),
                    name: account.name.to_owned(),
                };
                (account, owner)
            })
            .collect();
        self.wanted.send_if_modified(|told| {
            if told.as_deref() == Some(&wanted) {
                return false;
            }
            *told = Some(Arc::new(wanted));
            true
        });
    }
}

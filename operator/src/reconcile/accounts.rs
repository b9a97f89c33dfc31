use std::{
    collections::{BTreeSet, HashSet},
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
    stale: bool,
    wanted: tokio::sync::watch::Sender<Wanted>,
}

impl Accounts {
    /// Nobody yet; `wanted` is told once the world is complete.
    pub(super) fn new(joining: Joining, wanted: tokio::sync::watch::Sender<Wanted>) -> Self {
        Self {
            joining,
            meshed: HashSet::new(),
            stale: true,
            wanted,
        }
    }

    /// Sees an object on its way into the world.
    pub(super) fn see(&mut self, object: &Object) {
        match object {
            Object::Namespace(namespace) => {
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
            Object::Pod(_) | Object::ServiceAccount(_) => self.stale = true,
            _ => {}
        }
    }

    /// Sees an object go.
    pub(super) fn see_gone(&mut self, object: &ObjectRef) {
        match object.kind {
            Kind::Namespace => self.stale |= self.meshed.remove(&object.name),
            Kind::Pod | Kind::ServiceAccount => self.stale = true,
            _ => {}
        }
    }

    /// Whether the last answer may be wrong.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Tells who needs an identity, if that changed.
    pub(super) fn tell(&mut self, world: &World) {
        self.stale = false;
        let wanted: BTreeSet<_> = world
            .service_accounts()
            .into_iter()
            .filter(|(namespace, _)| {
                self.joining == Joining::All || self.meshed.contains(namespace)
            })
            .map(|(namespace, name)| Account { namespace, name })
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

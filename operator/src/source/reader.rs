use std::collections::HashMap;

use kube::core::{DynamicObject, TypeMeta};
use weft_crds::{Kind, ObjectRef};

use super::{
    Change,
    resources::{names, read},
};

/// Reads the objects of one kind, each spec once: checking it costs milliseconds, and every status
/// that we write comes back as a change.
pub(super) struct Reader {
    kind: Kind,
    types: TypeMeta,
    /// What was read last of each: its uid and generation.
    known: HashMap<(String, String), (String, i64)>,
}

impl Reader {
    pub(super) fn new(kind: Kind, types: TypeMeta) -> Self {
        Self {
            kind,
            types,
            known: HashMap::new(),
        }
    }

    /// What an object says that was not known.
    pub(super) fn see(&mut self, object: DynamicObject) -> Option<Change> {
        let name = names(&object.metadata);
        let version = object.metadata.uid.clone().zip(object.metadata.generation);
        // Only a new spec has a new generation, and only another object another uid.
        if version.is_some() && self.known.get(&name) == version.as_ref() {
            return Some(Change::Told {
                object: ObjectRef::new(self.kind, name.0, name.1),
                status: object.data.get("status").cloned(),
            });
        }
        match version {
            Some(version) => self.known.insert(name, version),
            None => self.known.remove(&name),
        };
        read(self.kind, object, &self.types)
    }

    /// An object is gone.
    pub(super) fn forget(&mut self, namespace: &str, name: &str) {
        self.known.remove(&(namespace.to_owned(), name.to_owned()));
    }
}

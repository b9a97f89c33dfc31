//! Who needs an identity.

use std::collections::BTreeMap;

use super::facts::Name;

/// Service accounts that exist or that a Pod names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    known: BTreeMap<Name, Known>,
    version: u64,
}

/// Why an account is known.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Pods that name it.
    pods: usize,
    /// Its ServiceAccount, with its uid where it has one.
    object: Option<Option<String>>,
}

impl Known {
    fn uid(&self) -> Option<&String> {
        self.object.iter().flatten().next()
    }

    fn is_needed(&self) -> bool {
        self.pods > 0 || self.object.is_some()
    }
}

impl Accounts {
    /// Each, with its ServiceAccount's uid where that is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, Option<&str>)> {
        let known = self.known.iter();
        known.map(|(name, known)| (name, known.uid().map(String::as_str)))
    }

    /// Differs from an earlier answer whenever what [`Self::iter`] gives does.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// A ServiceAccount as it is now; `None`: it is gone.
    pub(super) fn put(&mut self, name: &Name, object: Option<Option<String>>) {
        self.edit(name.clone(), |known| known.object = object);
    }

    /// One more Pod names it.
    pub(super) fn named(&mut self, name: Name) {
        self.edit(name, |known| known.pods += 1);
    }

    /// One Pod less names it.
    pub(super) fn unnamed(&mut self, name: Name) {
        self.edit(name, |known| known.pods = known.pods.saturating_sub(1));
    }

    fn edit(&mut self, name: Name, edit: impl FnOnce(&mut Known)) {
        let known = self.known.entry(name.clone()).or_default();
        let (was_needed, uid) = (known.is_needed(), known.uid().cloned());
        edit(known);
        let is_needed = known.is_needed();
        if was_needed != is_needed || known.uid() != uid.as_ref() {
            self.version += 1;
        }
        if !is_needed {
            self.known.remove(&name);
        }
    }
}

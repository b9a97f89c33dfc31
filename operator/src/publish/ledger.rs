use std::collections::BTreeMap;

use weft_engine::documents::DocumentName;

/// What is known to be stored: a digest per document, not the documents.
///
/// In a cluster it is kept by two hands, our own writes and a watch that sees them (and
/// everybody else's) a little later. Versions tell them apart: an observation that is not newer
/// than our own last write says nothing new.
#[derive(Debug, Default)]
pub struct Ledger {
    stored: BTreeMap<DocumentName, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: something is stored under this name, and it is not to be trusted.
    digest: Option<String>,
    version: u64,
    /// Withdrawn by us, and remembered until the watch has seen it go.
    gone: bool,
}

/// What a watch saw of a stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The document.
    pub name: DocumentName,
    /// The digest that it is labelled with; `None` if it was deleted.
    pub digest: Option<String>,
    /// The version that was seen; 0 where the store does not count.
    pub version: u64,
}

impl Ledger {
    /// Whether a document with this digest needs to be written.
    pub fn differs(&self, name: &DocumentName, digest: &str) -> bool {
        self.stored
            .get(name)
            .is_none_or(|entry| entry.gone || entry.digest.as_deref() != Some(digest))
    }

    /// Whether something is stored under a name.
    pub fn holds(&self, name: &DocumentName) -> bool {
        self.stored.get(name).is_some_and(|entry| !entry.gone)
    }

    /// We stored a document.
    pub fn wrote(&mut self, name: DocumentName, digest: String, version: Option<u64>) {
        self.stored.insert(
            name,
            Entry {
                digest: Some(digest),
                version: version.unwrap_or_default(),
                gone: false,
            },
        );
    }

    /// We removed a document.
    pub fn withdrew(&mut self, name: &DocumentName) {
        match self.stored.get_mut(name) {
            // Its last version may still be on its way through the watch.
            Some(entry) if entry.version > 0 => entry.gone = true,
            _ => {
                self.stored.remove(name);
            }
        }
    }

    /// A write whose outcome is unknown: nothing is assumed about the document.
    pub fn doubt(&mut self, name: &DocumentName) {
        if let Some(entry) = self.stored.get_mut(name) {
            entry.digest = None;
        }
    }

    /// The watch saw a document. `true`: what is stored is not what was known, so whoever leads
    /// looks at the document again.
    pub fn observe(&mut self, seen: Observation) -> bool {
        match (self.stored.get_mut(&seen.name), seen.digest) {
            // Our own doing, or older than that.
            (Some(entry), Some(_)) if seen.version > 0 && seen.version <= entry.version => false,
            (Some(entry), None) if seen.version > 0 && seen.version < entry.version => false,
            (Some(entry), None) => {
                let foreign = !entry.gone;
                self.stored.remove(&seen.name);
                foreign
            }
            (None, None) => false,
            (Some(entry), digest) => {
                // Written by somebody else. Its label says what it should hold, not what it
                // does: a leader writes it again, and if nothing was changed that writes
                // nothing.
                *entry = Entry {
                    digest,
                    version: seen.version,
                    gone: false,
                };
                true
            }
            (None, digest) => {
                self.stored.insert(
                    seen.name,
                    Entry {
                        digest,
                        version: seen.version,
                        gone: false,
                    },
                );
                true
            }
        }
    }

    /// Every document that is stored.
    pub fn names(&self) -> impl Iterator<Item = &DocumentName> {
        self.stored
            .iter()
            .filter(|(_, entry)| !entry.gone)
            .map(|(name, _)| name)
    }

    /// Every document that is stored, with its digest where that is certain.
    pub fn digests(&self) -> impl Iterator<Item = (&DocumentName, &str)> {
        self.stored
            .iter()
            .filter(|(_, entry)| !entry.gone)
            .filter_map(|(name, entry)| Some((name, entry.digest.as_deref()?)))
    }

    /// The documents of one service's endpoints, or whatever else shares a key, between two
    /// names in order.
    pub fn between<'a>(
        &'a self,
        first: &DocumentName,
        last: &DocumentName,
    ) -> impl Iterator<Item = &'a DocumentName> {
        self.stored
            .range(first.clone()..=last.clone())
            .filter(|(_, entry)| !entry.gone)
            .map(|(name, _)| name)
    }

    /// How many documents are stored.
    pub fn count(&self) -> usize {
        self.names().count()
    }
}

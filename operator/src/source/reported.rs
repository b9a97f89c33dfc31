use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::Notify;

/// Beyond this many files it is no dearer to look at everything.
const MOST_FILES: usize = 1024;

/// What a look has to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every file.
    #[default]
    Everything,
    /// These paths, whatever is there.
    Paths(Vec<PathBuf>),
}

/// What the system reported since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Reported {
    paths: Mutex<Paths>,
    /// A Notify holds one permit: any number of events are one look.
    pub(super) woken: Notify,
}

#[derive(Debug, Default)]
struct Paths {
    /// An event that names no path, or more paths than are kept.
    everything: bool,
    /// By path, whether somebody may still be writing to it.
    paths: HashMap<PathBuf, bool>,
}

impl Reported {
    /// Takes an event.
    pub(super) fn note(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "the directory's changes are not told; it is looked at");
                return self.add(None);
            }
        };
        if event.need_rescan() {
            return self.add(None);
        }
        let open = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => false,
            // Reading a file is no change; a look reads, and would wake itself for ever.
            EventKind::Access(_) => return,
            _ => true,
        };
        for path in &event.paths {
            self.add(Some((path, open)));
        }
    }

    fn add(&self, path: Option<(&Path, bool)>) {
        let mut reported = self.lock();
        match path {
            Some((path, open)) if reported.paths.len() < MOST_FILES => {
                reported.paths.insert(path.to_owned(), open);
            }
            _ => reported.everything = true,
        }
        drop(reported);
        self.woken.notify_one();
    }

    /// Whether a file was reported that somebody may still be writing to.
    pub(super) fn is_open(&self) -> bool {
        let reported = self.lock();
        reported.everything || reported.paths.values().any(|open| *open)
    }

    /// What was reported; from here on it is forgotten.
    pub(super) fn take(&self) -> Scope {
        let reported = std::mem::take(&mut *self.lock());
        if reported.everything {
            Scope::Everything
        } else {
            Scope::Paths(reported.paths.into_keys().collect())
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Paths> {
        // What a panic left is a set of paths all the same.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

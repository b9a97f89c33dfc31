use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use weft_crds::ObjectRef;

/// Which files declare which object, and from which of them the world was told.
///
/// Of several files that declare one object the first in order wins, on every machine.
#[derive(Debug, Default)]
pub(super) struct Declared {
    objects: HashMap<ObjectRef, Declaration>,
}

#[derive(Debug, Default)]
struct Declaration {
    /// In order; nearly always one.
    files: Vec<Arc<Path>>,
    told: Option<Arc<Path>>,
}

/// What an object's declaration asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// No file declares it any more, and the world was told that it exists.
    Gone,
    /// The world knows it from the file that declares it.
    From(Arc<Path>),
    /// The world is to be told by this file, which it was not before.
    Newly(Arc<Path>),
    /// Neither declared nor told.
    Never,
}

impl Declared {
    /// A file came to declare an object, or ceased to. Gives back the files whose problems may
    /// be others now, because several declare it or did.
    pub(super) fn set(
        &mut self,
        object: &ObjectRef,
        file: &Arc<Path>,
        declares: bool,
    ) -> BTreeSet<Arc<Path>> {
        let declaration = match self.objects.get_mut(object) {
            Some(declaration) => declaration,
            None if declares => self.objects.entry(object.clone()).or_default(),
            None => return BTreeSet::new(),
        };
        let files = &mut declaration.files;
        let before = files.len();
        match (files.binary_search(file), declares) {
            (Err(at), true) => files.insert(at, Arc::clone(file)),
            (Ok(at), false) => drop(files.remove(at)),
            _ => {}
        }
        let shared = before.max(files.len()) > 1;
        if shared {
            files.iter().cloned().collect()
        } else {
            BTreeSet::new()
        }
    }

    /// The file that declares an object first; `None` where none does.
    pub(super) fn winner(&self, object: &ObjectRef) -> Option<&Arc<Path>> {
        self.objects.get(object)?.files.first()
    }

    /// What is to be told of an object, which is then taken as told.
    pub(super) fn tell(&mut self, object: &ObjectRef) -> Told {
        let Some(declaration) = self.objects.get_mut(object) else {
            return Told::Never;
        };
        let Some(winner) = declaration.files.first().cloned() else {
            let told = declaration.told.is_some();
            self.objects.remove(object);
            return if told { Told::Gone } else { Told::Never };
        };
        if declaration.told.replace(Arc::clone(&winner)).as_ref() == Some(&winner) {
            Told::From(winner)
        } else {
            Told::Newly(winner)
        }
    }
}

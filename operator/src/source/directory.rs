use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use weft_crds::{Object, ObjectRef};
use weft_engine::problem::Problem;

use super::{
    Change, Scope,
    declared::{Declared, Told},
    file::{File, find, problem, said_twice},
    walk::{MOST_FILES, MOST_LEVELS, Stamp, Tree, is_manifest, is_visible},
};

/// Files whose objects are held at a time. Of more that changed at once the World is told in
/// turns, so that the first look at a large directory does not hold all of it.
const TURN: usize = 64;

/// A directory of manifests, as it was when it was last looked at.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    files: BTreeMap<Arc<Path>, File>,
    declared: Declared,
    /// What was in between two states at the last look.
    unsettled: BTreeSet<Arc<Path>>,
    /// A change of a file may show elsewhere than at its path, or paths are not all known.
    tangled: bool,
    root_problems: Vec<Problem>,
}

impl Directory {
    /// A directory that has not been looked at.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            declared: Declared::default(),
            unsettled: BTreeSet::new(),
            tangled: true,
            root_problems: Vec::new(),
        }
    }

    /// Looks at files, reads those that changed, and tells what that changes, in the order in
    /// which the world is to be told. `true`: something was in between two states, look again
    /// soon.
    pub fn look(&mut self, scope: Scope, tell: &mut dyn FnMut(Change)) -> bool {
        let paths = match scope {
            Scope::Everything => None,
            Scope::Paths(paths) => self.manifests_among(paths),
        };
        let (there, gone) = match paths {
            None => self.everything(tell),
            Some(paths) => self.these(paths),
        };
        let mut there = there.into_iter().peekable();
        let mut gone = Some(gone);
        let mut left = BTreeSet::new();
        loop {
            let mut turn = Turn::default();
            for (path, stamp) in there.by_ref().take(TURN) {
                self.read(path, stamp, &mut turn);
            }
            for path in gone.take().into_iter().flatten() {
                self.drop_file(&path, &mut turn);
            }
            left.append(&mut turn.left);
            self.tell_files(&turn.files, tell);
            let last = there.peek().is_none();
            if last {
                // Removals first: what an object held is free before another claims it.
                self.tell_left(&left, tell);
            }
            self.tell_read(turn.read, tell);
            if last {
                return !self.unsettled.is_empty();
            }
        }
    }

    /// The manifests that these paths mean; `None` where only a look at everything can tell.
    fn manifests_among(&self, paths: Vec<PathBuf>) -> Option<BTreeSet<Arc<Path>>> {
        if self.tangled || self.files.len() >= MOST_FILES {
            return None;
        }
        let mut manifests = self.unsettled.clone();
        for path in paths {
            let below = path.strip_prefix(&self.root).ok()?;
            let levels = below.components().count();
            if levels == 0 {
                return None;
            }
            if levels > MOST_LEVELS + 1 {
                continue;
            }
            // Nothing visible leads behind what is hidden, or it would be tangled.
            if !below
                .ancestors()
                .all(|part| part.as_os_str().is_empty() || is_visible(part))
            {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let from = (Bound::Excluded(&*path), Bound::Unbounded);
                    let next = self.files.range::<Path, _>(from).next();
                    // It was a directory.
                    if next.is_some_and(|(file, _)| file.starts_with(&path)) {
                        return None;
                    }
                }
                // A directory, a link, or what cannot be known.
                _ => return None,
            }
            if is_manifest(&path) {
                manifests.insert(Arc::from(path));
            }
        }
        Some(manifests)
    }

    /// The files that changed since they were last read, and those that went.
    fn everything(&mut self, tell: &mut dyn FnMut(Change)) -> (Vec<Found>, Vec<Arc<Path>>) {
        let tree = Tree::of(&self.root);
        self.tangled = tree.linked || tree.cut || !tree.unreadable.is_empty();
        self.note_unreadable(&tree, tell);
        self.unsettled.clear();
        let missing: Vec<_> = self
            .files
            .keys()
            .filter(|path| !tree.files.contains_key(&***path) && !tree.is_blind_to(path))
            .cloned()
            .collect();
        let there = tree
            .files
            .into_iter()
            .filter_map(|(path, stamp)| self.changed(&path, stamp))
            .collect();
        (there, self.gone(missing))
    }

    /// The same among these paths.
    fn these(&mut self, paths: BTreeSet<Arc<Path>>) -> (Vec<Found>, Vec<Arc<Path>>) {
        self.unsettled.clear();
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for path in paths {
            match Stamp::of(&path) {
                Some(stamp) => there.extend(self.changed(&path, stamp)),
                None if self.files.contains_key(&path) => missing.push(path),
                None => {}
            }
        }
        (there, self.gone(missing))
    }

    fn changed(&mut self, path: &Path, stamp: Stamp) -> Option<Found> {
        let Some((known, _)) = self.files.get_key_value(path) else {
            return Some((Arc::from(path), stamp));
        };
        let known = Arc::clone(known);
        let file = self.files.get_mut(path)?;
        file.missing = false;
        if file.stamp.as_ref() == Some(&stamp) {
            return None;
        }
        if file.is_cut(&stamp) {
            self.unsettled.insert(known);
            return None;
        }
        Some((known, stamp))
    }

    /// Those of the missing files that are believed gone.
    fn gone(&mut self, mut missing: Vec<Arc<Path>>) -> Vec<Arc<Path>> {
        missing.retain(|path| {
            let Some(file) = self.files.get_mut(path) else {
                return false;
            };
            if file.missing || file.objects.is_empty() {
                return true;
            }
            // An editor that saves by renaming leaves a moment without the file.
            file.missing = true;
            self.unsettled.insert(Arc::clone(path));
            false
        });
        missing
    }

    fn read(&mut self, path: Arc<Path>, stamp: Stamp, turn: &mut Turn) {
        let name = shown(&path, &self.root);
        let file = self.files.entry(Arc::clone(&path)).or_default();
        let before = file.objects.clone();
        file.stamp = Some(stamp);
        for object in file.read(&path, &name, stamp.length) {
            turn.read
                .insert((object.reference(), Arc::clone(&path)), object);
        }
        turn.files.insert(Arc::clone(&path));
        for object in file.objects.difference(&before) {
            turn.files
                .append(&mut self.declared.set(object, &path, true));
        }
        for object in before.difference(&file.objects) {
            turn.files
                .append(&mut self.declared.set(object, &path, false));
            turn.left.insert(object.clone());
        }
    }

    fn drop_file(&mut self, path: &Arc<Path>, turn: &mut Turn) {
        let file = self.files.remove(path).unwrap_or_default();
        turn.files.insert(Arc::clone(path));
        for object in file.objects {
            turn.files
                .append(&mut self.declared.set(&object, path, false));
            turn.left.insert(object);
        }
    }

    /// What is wrong with these files now.
    fn tell_files(&self, files: &BTreeSet<Arc<Path>>, tell: &mut dyn FnMut(Change)) {
        for path in files {
            let name = shown(path, &self.root);
            let mut problems = Vec::new();
            if let Some(file) = self.files.get(path) {
                problems.clone_from(&file.problems);
                for object in &file.objects {
                    if let Some(first) = self.declared.winner(object)
                        && first != path
                    {
                        problems.push(said_twice(object, &name, &shown(first, &self.root)));
                    }
                }
            }
            tell(Change::File {
                file: name,
                problems,
            });
        }
    }

    /// Objects that a file ceased to declare: gone, or declared by another.
    fn tell_left(&mut self, left: &BTreeSet<ObjectRef>, tell: &mut dyn FnMut(Change)) {
        let mut found = Vec::new();
        for object in left {
            match self.declared.tell(object) {
                Told::Gone => tell(Change::Removed(object.clone())),
                // Another file declared it first, until now.
                Told::Newly(path) => found.extend(find(&path, object)),
                Told::From(_) | Told::Never => {}
            }
        }
        for object in found {
            apply(object, tell);
        }
    }

    /// Objects that were read, where their file is the one that counts. Told even where one may
    /// be what it was: the World knows.
    fn tell_read(
        &mut self,
        read: BTreeMap<(ObjectRef, Arc<Path>), Object>,
        tell: &mut dyn FnMut(Change),
    ) {
        for ((reference, path), object) in read {
            if self.declared.winner(&reference) == Some(&path) {
                self.declared.tell(&reference);
                apply(object, tell);
            }
        }
    }

    fn note_unreadable(&mut self, tree: &Tree, tell: &mut dyn FnMut(Change)) {
        let mut problems: Vec<_> = tree
            .unreadable
            .iter()
            .map(|(path, error)| {
                problem(
                    &shown(path, &self.root),
                    format!("the directory cannot be read: {error}"),
                    "check that it exists and is readable; what it held stays as it was",
                )
            })
            .collect();
        if tree.cut {
            problems.push(problem(
                ".",
                "there are too many files below it".to_owned(),
                "point --manifests at a directory of manifests only",
            ));
        }
        if problems != self.root_problems {
            self.root_problems.clone_from(&problems);
            tell(Change::File {
                file: ".".to_owned(),
                problems,
            });
        }
    }
}

/// A file that is to be read.
type Found = (Arc<Path>, Stamp);

/// What reading some files brought.
#[derive(Default)]
struct Turn {
    read: BTreeMap<(ObjectRef, Arc<Path>), Object>,
    /// Objects that a file declares no more.
    left: BTreeSet<ObjectRef>,
    /// Files of whose problems is to be told.
    files: BTreeSet<Arc<Path>>,
}

fn apply(object: Object, tell: &mut dyn FnMut(Change)) {
    tell(Change::Applied {
        object: Box::new(object),
        status: None,
    });
}

fn shown(path: &Path, root: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    if below.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        below.display().to_string()
    }
}

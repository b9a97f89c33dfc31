use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use weft_crds::{Object, ObjectRef, manifests};
use weft_engine::problem::{Code, Problem, Severity};

use super::{
    Change,
    walk::{Stamp, Tree},
};

/// The largest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A file that was cut to nothing is believed empty when it has stayed so for this long: an
/// editor that truncates and then writes is between the two for less.
const SETTLE: Duration = Duration::from_millis(150);

/// A directory of manifests, as it was when it was last looked at.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// What the world was told, and the file that it came from.
    told: HashMap<ObjectRef, PathBuf>,
    root_problems: Vec<Problem>,
}

#[derive(Debug, Default)]
struct File {
    stamp: Option<Stamp>,
    objects: BTreeSet<ObjectRef>,
    problems: Vec<Problem>,
    /// It was not there at the last look; it is believed gone at the next.
    missing: bool,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// In the order in which the world is to be told.
    pub changes: Vec<Change>,
    /// Something was in between two states: look again soon.
    pub unsettled: bool,
}

impl Directory {
    /// A directory that has not been looked at.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            told: HashMap::new(),
            root_problems: Vec::new(),
        }
    }

    /// Looks at every file, reads those that changed, and says what that changes.
    pub fn look(&mut self) -> Look {
        let mut look = Look::default();
        let tree = Tree::of(&self.root);
        self.note_unreadable(&tree, &mut look);
        let mut read = HashMap::new();
        let mut changed = HashSet::new();

        for (path, stamp) in &tree.files {
            let file = self.files.entry(path.clone()).or_default();
            file.missing = false;
            if file.stamp.as_ref() == Some(stamp) {
                continue;
            }
            if stamp.length == 0 && is_young(stamp) && !file.objects.is_empty() {
                look.unsettled = true;
                continue;
            }
            file.stamp = Some(*stamp);
            for object in file.read(path, &shown(path, &self.root), stamp.length) {
                read.insert((path.clone(), object.reference()), object);
            }
            changed.insert(path.clone());
        }

        let mut gone = Vec::new();
        for (path, file) in &mut self.files {
            if tree.files.contains_key(path) || tree.is_blind_to(path) {
                continue;
            }
            if file.missing || file.objects.is_empty() {
                gone.push(path.clone());
            } else {
                // An editor that saves by renaming leaves a moment without the file.
                file.missing = true;
                look.unsettled = true;
            }
        }
        for path in gone {
            self.files.remove(&path);
            changed.insert(path);
        }
        if !changed.is_empty() {
            self.tell(&changed, read, &mut look.changes);
        }
        look
    }

    /// Compares what the files say now with what the world was told.
    fn tell(
        &mut self,
        changed: &HashSet<PathBuf>,
        mut read: HashMap<(PathBuf, ObjectRef), Object>,
        changes: &mut Vec<Change>,
    ) {
        let mut now: HashMap<&ObjectRef, &PathBuf> = HashMap::new();
        for (path, file) in &self.files {
            let name = shown(path, &self.root);
            let mut problems = file.problems.clone();
            for object in &file.objects {
                match now.get(object) {
                    // Files are in order: the first one wins, on every machine.
                    Some(first) => {
                        problems.push(said_twice(object, &name, &shown(first, &self.root)));
                    }
                    None => {
                        now.insert(object, path);
                    }
                }
            }
            if changed.contains(path) || problems.len() > file.problems.len() {
                changes.push(Change::File {
                    file: name,
                    problems,
                });
            }
        }
        for path in changed
            .iter()
            .filter(|path| !self.files.contains_key(*path))
        {
            changes.push(Change::File {
                file: shown(path, &self.root),
                problems: Vec::new(),
            });
        }
        // Removals first: what an object held is free before another claims it.
        let removed: Vec<_> = self
            .told
            .keys()
            .filter(|object| !now.contains_key(object))
            .cloned()
            .collect();
        // What was read is told even where it may be what it was: the World knows.
        let mut told: Vec<(ObjectRef, PathBuf)> = now
            .into_iter()
            .filter(|(object, path)| {
                self.told.get(*object) != Some(*path)
                    || read.contains_key(&((*path).clone(), (*object).clone()))
            })
            .map(|(object, path)| (object.clone(), path.clone()))
            .collect();
        told.sort();
        for object in removed {
            self.told.remove(&object);
            changes.push(Change::Removed(object));
        }
        for (reference, path) in told {
            let object = read
                .remove(&(path.clone(), reference.clone()))
                // Another file declared it first, until now.
                .or_else(|| find(&path, &reference));
            if let Some(object) = object {
                changes.push(Change::Applied {
                    object: Box::new(object),
                    status: None,
                });
            }
            self.told.insert(reference, path);
        }
    }

    fn note_unreadable(&mut self, tree: &Tree, look: &mut Look) {
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
            look.changes.push(Change::File {
                file: ".".to_owned(),
                problems,
            });
        }
    }
}

impl File {
    /// Reads the file; what was in it and cannot be read now stays as it was.
    fn read(&mut self, path: &Path, name: &str, length: u64) -> Vec<Object> {
        let text = if length > MOST_BYTES {
            Err(format!("it is larger than {} MiB", MOST_BYTES >> 20))
        } else {
            fs::read_to_string(path).map_err(|error| error.to_string())
        };
        let parsed = match text {
            Ok(text) => manifests::parse(&text, name),
            Err(message) => {
                self.problems = vec![problem(
                    name,
                    format!("the file cannot be read: {message}"),
                    "mend it; what it said before stays in force until then",
                )];
                return Vec::new();
            }
        };
        self.problems = parsed.problems;
        let before = std::mem::take(&mut self.objects);
        let mut objects = Vec::with_capacity(parsed.objects.len());
        for (object, location) in parsed.objects {
            let reference = object.reference();
            if !is_named_well(&reference) {
                self.problems.push(problem(
                    &location.to_string(),
                    format!("`{reference}` is not a Kubernetes name"),
                    "use lower-case letters, digits, hyphens and dots in name and namespace",
                ));
            } else if !self.objects.insert(reference.clone()) {
                self.problems.push(said_twice(&reference, name, name));
            } else {
                objects.push(object);
            }
        }
        if parsed.incomplete {
            for kept in before {
                if self.objects.insert(kept.clone()) {
                    self.problems.push(problem(
                        &kept.to_string(),
                        format!("it was in {name}, a part of which cannot be read now"),
                        "mend the file; the object's last good meaning stays in force until then",
                    ));
                }
            }
        }
        objects
    }
}

/// An RFC 1123 subdomain, as the API server would have it: these become file names.
fn is_named_well(reference: &ObjectRef) -> bool {
    let well = |text: &str| {
        text.len() <= 253
            && text.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
    };
    well(&reference.name) && (reference.namespace.is_empty() || well(&reference.namespace))
}

fn is_young(stamp: &Stamp) -> bool {
    stamp.modified.is_some_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age < SETTLE)
    })
}

fn find(path: &Path, reference: &ObjectRef) -> Option<Object> {
    let text = fs::read_to_string(path).ok()?;
    manifests::parse(&text, "")
        .objects
        .into_iter()
        .map(|(object, _)| object)
        .find(|object| object.reference() == *reference)
}

fn shown(path: &Path, root: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    if below.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        below.display().to_string()
    }
}

fn said_twice(object: &ObjectRef, here: &str, first: &str) -> Problem {
    problem(
        &object.to_string(),
        format!("{here} declares it again; {first} did before and wins"),
        "remove one of the two",
    )
}

fn problem(object: &str, message: String, fix: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        code: Code::Invalid,
        object: object.to_owned(),
        field: String::new(),
        message,
        fix: fix.to_owned(),
    }
}

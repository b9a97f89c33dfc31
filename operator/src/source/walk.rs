use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The most files that are looked at; a bound against `--manifests /`.
const MOST_FILES: usize = 20_000;

/// How deep directories are followed.
const MOST_LEVELS: usize = 16;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: Option<SystemTime>,
    pub(super) length: u64,
    inode: u64,
    changed: (i64, i64),
}

/// The manifest files below a directory, and the directories that could not be read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
    /// Whether there were more files than are looked at.
    pub(super) cut: bool,
}

impl Tree {
    pub(super) fn of(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(root, 0);
        tree
    }

    /// Whether a file may be missing only because its directory could not be read.
    pub(super) fn is_blind_to(&self, path: &Path) -> bool {
        self.cut || self.unreadable.iter().any(|(at, _)| path.starts_with(at))
    }

    fn add(&mut self, directory: &Path, level: usize) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable.push((directory.to_owned(), error));
                return;
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    self.unreadable.push((directory.to_owned(), error));
                    return;
                }
            };
            if !is_visible(&path) {
                continue;
            }
            // Through links: a mounted ConfigMap is made of them.
            let Ok(metadata) = fs::metadata(&path) else {
                // Gone since it was listed, or a dangling link.
                continue;
            };
            if metadata.is_dir() {
                if level < MOST_LEVELS {
                    self.add(&path, level + 1);
                }
            } else if metadata.is_file() && is_manifest(&path) {
                if self.files.len() >= MOST_FILES {
                    self.cut = true;
                    return;
                }
                let stamp = Stamp {
                    modified: metadata.modified().ok(),
                    length: metadata.len(),
                    inode: metadata.ino(),
                    changed: (metadata.ctime(), metadata.ctime_nsec()),
                };
                self.files.insert(path, stamp);
            }
        }
    }
}

/// Not hidden: editors keep their swap and lock files, and the kubelet its `..data`, behind a
/// leading dot or `#`.
fn is_visible(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !name.starts_with(['.', '#']))
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"))
}

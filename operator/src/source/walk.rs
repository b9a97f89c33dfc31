use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The most files that are looked at; a bound against `--manifests /`.
pub(super) const MOST_FILES: usize = 20_000;

/// How deep directories are followed.
pub(super) const MOST_LEVELS: usize = 16;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: Option<SystemTime>,
    pub(super) length: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// The state of a file now; `None`: there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        // Through links: a mounted ConfigMap is made of them.
        let metadata = fs::metadata(path).ok()?;
        metadata.is_file().then(|| Self::from(&metadata))
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The manifest files below a directory, and the directories that could not be read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
    /// Whether there were more files than are looked at.
    pub(super) cut: bool,
    /// Whether some file or directory is a link: then a change elsewhere may be one here.
    pub(super) linked: bool,
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
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unreadable.push((directory.to_owned(), error));
                    return;
                }
            };
            let path = entry.path();
            if !is_visible(&path) {
                continue;
            }
            self.linked |= entry.file_type().is_ok_and(|kind| kind.is_symlink());
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
                self.files.insert(path, Stamp::from(&metadata));
            }
        }
    }
}

/// Not hidden: editors keep their swap and lock files, and the kubelet its `..data`, behind a
/// leading dot or `#`.
pub(super) fn is_visible(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !name.starts_with(['.', '#']))
}

/// By its name.
pub(super) fn is_manifest(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"))
}

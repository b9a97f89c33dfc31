//! Documents as files `<name>.json` of a directory: what standalone writes, or a mounted
//! volume (whose `..data` link is swapped). Writers replace files by rename.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use notify::RecommendedWatcher;
use tokio::sync::mpsc;
use weft_engine::documents::DocumentName;
use xxhash_rust::xxh3::xxh3_64;

use super::{Feed, FeedEvent, watch_directory};

/// How often files are looked at without an event: inotify does not see every kind of mount.
const POLL: Duration = Duration::from_secs(2);

/// A burst of events is read once, this long after its first.
const SETTLE: Duration = Duration::from_millis(10);

/// The largest file that is read: the limit of a ConfigMap is 1 MiB, and JSON may escape.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Follows files.
#[derive(Debug)]
pub struct DirFeed {
    directory: PathBuf,
    followed: BTreeMap<DocumentName, Seen>,
    ready: VecDeque<FeedEvent>,
    changed: mpsc::Receiver<()>,
    /// Kept for its lifetime, and made anew while the directory does not exist yet.
    watcher: Option<RecommendedWatcher>,
    events: mpsc::Sender<()>,
}

/// What was last seen of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Nothing,
    Absent,
    Unreachable(String),
    File {
        stamp: Stamp,
        hash: u64,
    },
}

/// A cheap sign that a file is the same as before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl DirFeed {
    /// Follows files of `directory`, which may come to exist later.
    pub fn new(directory: PathBuf) -> Self {
        let (events, changed) = mpsc::channel(1);
        let watcher = directory
            .is_dir()
            .then(|| watch_directory(&directory, events.clone()))
            .flatten();
        Self {
            directory,
            followed: BTreeMap::new(),
            ready: VecDeque::new(),
            changed,
            watcher,
            events,
        }
    }

    fn look(&mut self, name: &DocumentName) {
        let Some(seen) = self.followed.get_mut(name) else {
            return;
        };
        let (now, event) = look_at(&self.directory, name, seen);
        *seen = now;
        self.ready.extend(event);
    }

    fn look_at_all(&mut self) {
        if self.watcher.is_none() && self.directory.is_dir() {
            self.watcher = watch_directory(&self.directory, self.events.clone());
        }
        let names: Vec<_> = self.followed.keys().cloned().collect();
        for name in names {
            self.look(&name);
        }
    }
}

impl Feed for DirFeed {
    fn follow(&mut self, name: DocumentName) {
        if !self.followed.contains_key(&name) {
            self.followed.insert(name.clone(), Seen::Nothing);
            self.look(&name);
        }
    }

    fn unfollow(&mut self, name: &DocumentName) {
        self.followed.remove(name);
    }

    async fn next(&mut self) -> FeedEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            tokio::select! {
                _ = self.changed.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    while self.changed.try_recv().is_ok() {}
                }
                () = tokio::time::sleep(POLL) => {}
            }
            self.look_at_all();
        }
    }
}

/// Looks at one file. Gives what is seen now, and an event if that is news.
fn look_at(directory: &Path, name: &DocumentName, seen: &Seen) -> (Seen, Option<FeedEvent>) {
    let path = directory.join(format!("{name}.json"));
    let failed = |error: io::Error| {
        // A missing file means "absent" only in a directory that is there.
        if error.kind() == io::ErrorKind::NotFound && directory.is_dir() {
            let event = (*seen != Seen::Absent).then(|| FeedEvent::Absent { name: name.clone() });
            return (Seen::Absent, event);
        }
        let reason = format!("{}: {error}", path.display());
        let now = Seen::Unreachable(reason.clone());
        let name = name.clone();
        let event = (*seen != now).then_some(FeedEvent::Unreachable { name, reason });
        (now, event)
    };
    let stamp = match fs::metadata(&path) {
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            return failed(io::Error::other("the file is larger than 4 MiB"));
        }
        Ok(metadata) => Stamp::of(&metadata),
        Err(error) => return failed(error),
    };
    if let Seen::File { stamp: before, .. } = seen
        && *before == stamp
    {
        return (seen.clone(), None);
    }
    let json = match fs::read_to_string(&path) {
        Ok(json) => json,
        Err(error) => return failed(error),
    };
    let hash = xxh3_64(json.as_bytes());
    let is_same = matches!(seen, Seen::File { hash: before, .. } if *before == hash);
    let event = (!is_same).then(|| FeedEvent::Document {
        name: name.clone(),
        json,
    });
    (Seen::File { stamp, hash }, event)
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

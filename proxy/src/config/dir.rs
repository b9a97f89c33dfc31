//! Documents as files `<name>.json` of a directory: what standalone writes, or a mounted
//! volume (whose `..data` link is swapped). Writers replace files by rename.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsStr,
    path::PathBuf,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use weft_engine::documents::DocumentName;

use self::look::{Seen, look_at};
use super::{
    Feed, FeedEvent,
    watch::{DirectoryWatch, Hint},
};

/// One file.
mod look;

/// How often the directory is looked at without an event, and the files in it where not every
/// change of one is heard of.
const POLL: Duration = Duration::from_secs(2);

/// How often every file is looked at where all changes should be heard of. A thousand services are
/// two thousand files: looking at them every two seconds is most of what an idle proxy would do.
const POLL_HEARD: Duration = Duration::from_secs(30);

/// A burst of events is acted upon once, this long after its first.
const SETTLE: Duration = Duration::from_millis(10);

/// Follows files.
#[derive(Debug)]
pub struct DirFeed {
    directory: PathBuf,
    followed: BTreeMap<DocumentName, Seen>,
    ready: VecDeque<FeedEvent>,
    watch: DirectoryWatch,
    /// What is looked at once the burst is over, and when that is.
    changed: Changed,
    settles: Option<Instant>,
    /// When the directory is looked at next, and every file.
    polls: Instant,
    polls_all: Instant,
    /// Some name is a link, or could not be looked at: no event of its name tells of a change.
    has_links: bool,
    has_unreachable: bool,
}

/// What is to be looked at.
#[derive(Debug, PartialEq, Eq)]
enum Changed {
    /// Followed ones: there are no more of them than that.
    Names(BTreeSet<DocumentName>),
    Everything,
}

impl Default for Changed {
    fn default() -> Self {
        Self::Names(BTreeSet::new())
    }
}

impl DirFeed {
    /// Follows files of `directory`, which may come to exist later. Within a runtime.
    pub fn new(directory: PathBuf) -> Self {
        let now = Instant::now();
        Self {
            watch: DirectoryWatch::new(&directory),
            directory,
            followed: BTreeMap::new(),
            ready: VecDeque::new(),
            changed: Changed::default(),
            settles: None,
            polls: now + POLL,
            polls_all: now + POLL_HEARD,
            has_links: false,
            has_unreachable: false,
        }
    }

    fn look(&mut self, name: &DocumentName) {
        if let Some(seen) = self.followed.get_mut(name) {
            let look = look_at(&self.directory, name, seen);
            self.has_links |= look.is_link;
            self.has_unreachable |= matches!(look.seen, Seen::Unreachable(_));
            *seen = look.seen;
            self.ready.extend(look.event);
        }
    }

    fn look_at_all(&mut self) {
        self.polls_all = Instant::now() + POLL_HEARD;
        self.has_unreachable = false;
        let names: Vec<_> = self.followed.keys().cloned().collect();
        for name in names {
            self.look(&name);
        }
    }

    fn look_at_changed(&mut self) {
        self.settles = None;
        match std::mem::take(&mut self.changed) {
            Changed::Everything => self.look_at_all(),
            Changed::Names(names) => names.iter().for_each(|name| self.look(name)),
        }
    }

    fn note(&mut self, hint: Hint) {
        let changed = match hint {
            Hint::Anything => None,
            Hint::Name(file) => match self.followed_as(&file) {
                Some(name) => Some(name),
                // `..data`, through which all names of a mounted volume lead.
                None if self.has_links => None,
                // A file that is written beside, or a document of others.
                None => return,
            },
        };
        match (changed, &mut self.changed) {
            (Some(name), Changed::Names(names)) => drop(names.insert(name)),
            (Some(_), Changed::Everything) => {}
            (None, all) => *all = Changed::Everything,
        }
        self.settles.get_or_insert_with(|| Instant::now() + SETTLE);
    }

    fn followed_as(&self, file: &OsStr) -> Option<DocumentName> {
        let name = file.to_str()?.strip_suffix(".json")?.parse().ok()?;
        self.followed.contains_key(&name).then_some(name)
    }

    fn poll(&mut self) {
        let now = Instant::now();
        self.polls = now + POLL;
        let is_new = self.watch.renew();
        let is_heard = self.watch.hears_all() && !self.has_links && !self.has_unreachable;
        if is_new || !is_heard || now >= self.polls_all {
            self.look_at_all();
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
            // What was heard is kept in `self`: who gives up waiting loses nothing.
            let settled = sleep_until(self.settles.unwrap_or(self.polls));
            tokio::select! {
                hint = self.watch.next() => self.note(hint),
                () = settled, if self.settles.is_some() => self.look_at_changed(),
                () = sleep_until(self.polls) => self.poll(),
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! inotify on a directory: which of its names have changed. A hint only, for not every file
//! system tells of every change: whoever uses it also polls.

use std::{
    ffi::OsString,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use futures::{FutureExt, StreamExt};
use inotify::{Event, EventMask, EventStream, Inotify, WatchMask};
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC,
    XFS_SUPER_MAGIC, statfs,
};

/// File systems that only this kernel changes, so that it hears of every change. On others (NFS,
/// FUSE, 9p) another host may change what no event tells of.
const LOCAL: [FsType; 5] = [
    EXT4_SUPER_MAGIC,
    XFS_SUPER_MAGIC,
    BTRFS_SUPER_MAGIC,
    TMPFS_MAGIC,
    OVERLAYFS_SUPER_MAGIC,
];

/// Bytes that are read at once: tens of events. What is not read waits in the kernel, which bounds
/// it (`fs.inotify.max_queued_events`) and says when it dropped some.
const BUFFER: usize = 4096;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// What has this name in the directory.
    Name(OsString),
    /// Whatever there is: events were dropped, or the directory is another one.
    Anything,
}

/// A watch on what a path leads to.
pub(crate) struct DirectoryWatch {
    directory: PathBuf,
    /// `None`: there is no directory, or the system gives no watch. The caller's poll then does the
    /// work.
    watched: Option<Watched>,
    /// Said once, not at every attempt.
    failure: Option<io::ErrorKind>,
}

struct Watched {
    events: EventStream<Box<[u8]>>,
    /// Device and inode.
    of: (u64, u64),
    is_local: bool,
}

impl DirectoryWatch {
    /// Watches `directory`, which may come to exist later. Within a runtime.
    pub(crate) fn new(directory: &Path) -> Self {
        let mut watch = Self {
            directory: directory.to_owned(),
            watched: None,
            failure: None,
        };
        watch.renew();
        watch
    }

    /// Watches what the path leads to now, should that be another directory than before or should
    /// there have been none. Costs one `stat`. Says whether something was missed by that.
    pub(crate) fn renew(&mut self) -> bool {
        let now = identity(&self.directory).ok();
        if now.is_some() && now == self.watched.as_ref().map(|watched| watched.of) {
            return false;
        }
        let was_watched = self.watched.take().is_some();
        match Watched::begin(&self.directory) {
            Ok(watched) => {
                self.watched = Some(watched);
                self.failure = None;
                true
            }
            Err(error) => {
                let kind = error.kind();
                if kind != io::ErrorKind::NotFound && self.failure != Some(kind) {
                    tracing::warn!(directory = %self.directory.display(), %error, "no file watch; changes are found by polling");
                }
                self.failure = Some(kind);
                was_watched
            }
        }
    }

    /// Whether every change of a name in the directory is heard of.
    pub(crate) fn hears_all(&self) -> bool {
        self.watched
            .as_ref()
            .is_some_and(|watched| watched.is_local)
    }

    /// The next change; never, without a watch. Cancel safe.
    pub(crate) async fn next(&mut self) -> Hint {
        let Some(watched) = &mut self.watched else {
            return std::future::pending().await;
        };
        let Some(Ok(event)) = watched.events.next().await else {
            self.watched = None;
            return Hint::Anything;
        };
        // The directory itself is gone, moved or unmounted: who is at the path now is another.
        if event.mask.intersects(
            EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::UNMOUNT | EventMask::IGNORED,
        ) {
            self.watched = None;
        }
        hint(event)
    }

    /// Forgets what has been heard and not taken.
    pub(crate) fn skip(&mut self) {
        while self.next().now_or_never().is_some() {}
    }
}

fn hint(event: Event<OsString>) -> Hint {
    // `Q_OVERFLOW` and what concerns the directory have no name.
    event.name.map_or(Hint::Anything, Hint::Name)
}

impl Watched {
    fn begin(directory: &Path) -> io::Result<Self> {
        let of = identity(directory)?;
        let inotify = Inotify::init()?;
        // Not OPEN or ACCESS: our own reading would be news. Not MODIFY: who writes a file in place
        // has done so when it is closed.
        let mask = WatchMask::CREATE
            | WatchMask::CLOSE_WRITE
            | WatchMask::ATTRIB
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        inotify.watches().add(directory, mask)?;
        let events = inotify.into_event_stream(vec![0; BUFFER].into_boxed_slice())?;
        if identity(directory)? != of {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let is_local = statfs(directory).is_ok_and(|of| LOCAL.contains(&of.filesystem_type()));
        Ok(Self {
            events,
            of,
            is_local,
        })
    }
}

fn identity(directory: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(directory).map(|found| (found.dev(), found.ino()))
}

impl fmt::Debug for DirectoryWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryWatch")
            .field("directory", &self.directory)
            .field("hears_all", &self.hears_all())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! One file: what is seen of it now, and whether that is news.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use weft_engine::documents::DocumentName;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::config::FeedEvent;

/// The largest file that is read: the limit of a ConfigMap is 1 MiB, and JSON may escape.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What was last seen of a file. Kept for each of thousands: it is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    #[default]
    Nothing,
    Absent,
    /// Why.
    Unreachable(Box<str>),
    File {
        /// A cheap sign that it is the same as before.
        stamp: u64,
        /// Of what it says.
        hash: u64,
    },
}

/// What a look at a file gives.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) seen: Seen,
    /// Where that is news.
    pub(super) event: Option<FeedEvent>,
    /// What is at the name is a link: what it leads to may change without an event of that name.
    pub(super) is_link: bool,
}

/// Looks at one file, of which `before` was seen last.
pub(super) fn look_at(directory: &Path, name: &DocumentName, before: &Seen) -> Look {
    let path = directory.join(format!("{name}.json"));
    let mut is_link = false;
    let result = read(&path, before, &mut is_link);
    let name = name.clone();
    let (seen, event) = match result {
        Ok((seen, None)) => (seen, None),
        Ok((seen, Some(json))) => (seen, Some(FeedEvent::Document { name, json })),
        // A missing file means "absent" only in a directory that is there.
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => {
            (Seen::Absent, Some(FeedEvent::Absent { name }))
        }
        Err(error) => {
            let reason = format!("{}: {error}", path.display());
            let seen = Seen::Unreachable(reason.as_str().into());
            (seen, Some(FeedEvent::Unreachable { name, reason }))
        }
    };
    let event = event.filter(|_| seen != *before);
    Look {
        seen,
        event,
        is_link,
    }
}

/// What the file says, where that is not what it said before.
fn read(path: &Path, before: &Seen, is_link: &mut bool) -> io::Result<(Seen, Option<String>)> {
    let mut metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        *is_link = true;
        metadata = fs::metadata(path)?;
    }
    if metadata.len() > MAX_BYTES {
        return Err(io::Error::other("the file is larger than 4 MiB"));
    }
    let stamp = stamp(&metadata);
    if let Seen::File { stamp: same, .. } = before
        && *same == stamp
    {
        return Ok((before.clone(), None));
    }
    let json = fs::read_to_string(path)?;
    let hash = xxh3_64(json.as_bytes());
    let is_same = matches!(before, Seen::File { hash: before, .. } if *before == hash);
    Ok((Seen::File { stamp, hash }, (!is_same).then_some(json)))
}

fn stamp(metadata: &fs::Metadata) -> u64 {
    let mut stamp = Xxh3::new();
    for part in [metadata.dev(), metadata.ino(), metadata.len()] {
        stamp.update(&part.to_le_bytes());
    }
    for part in [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ] {
        stamp.update(&part.to_le_bytes());
    }
    stamp.digest()
}

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;
use weft_engine::documents::DocumentName;

use super::{Changed, DirFeed};
use crate::config::{Feed, FeedEvent, watch::Hint};

/// Longer than any event takes, and less than the poll of what is heard of.
const SOON: Duration = Duration::from_secs(20);

fn index(shard: u8) -> DocumentName {
    DocumentName::Index(shard)
}

fn file(folder: &Path, shard: u8) -> PathBuf {
    folder.join(format!("{}.json", index(shard)))
}

/// As a writer of documents does it.
fn replace(folder: &Path, shard: u8, text: &str) {
    let beside = folder.join(".beside.new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, file(folder, shard)).unwrap();
}

fn document(shard: u8, text: &str) -> FeedEvent {
    FeedEvent::Document {
        name: index(shard),
        json: text.to_owned(),
    }
}

async fn next(feed: &mut DirFeed) -> FeedEvent {
    timeout(SOON, feed.next()).await.expect("news come")
}

/// Two documents, followed and seen.
async fn two() -> (TempDir, DirFeed) {
    let folder = tempfile::tempdir().unwrap();
    replace(folder.path(), 0, "first");
    replace(folder.path(), 1, "first");
    let mut feed = DirFeed::new(folder.path().to_owned());
    for shard in [0, 1] {
        feed.follow(index(shard));
        assert_eq!(next(&mut feed).await, document(shard, "first"));
    }
    (folder, feed)
}

/// Changes a file through a name of it elsewhere, of which nobody hears.
fn change_unheard(folder: &Path, shard: u8, text: &str) {
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("other");
    // Where that is another file system there is no such name.
    fs::hard_link(file(folder, shard), &other).unwrap();
    fs::write(&other, text).unwrap();
}

#[tokio::test]
async fn a_change_is_seen_without_looking_at_the_others() {
    let (folder, mut feed) = two().await;
    change_unheard(folder.path(), 1, "unheard");
    for round in 0..3 {
        let text = format!("round {round}");
        replace(folder.path(), 0, &text);
        assert_eq!(next(&mut feed).await, document(0, &text));
    }
    // The other is found when all are looked at.
    feed.look_at_all();
    assert_eq!(next(&mut feed).await, document(1, "unheard"));
}

#[tokio::test]
async fn all_are_looked_at_where_events_were_lost() {
    let (folder, mut feed) = two().await;
    change_unheard(folder.path(), 0, "unheard");
    change_unheard(folder.path(), 1, "unheard");
    feed.note(Hint::Anything);
    assert_eq!(next(&mut feed).await, document(0, "unheard"));
    assert_eq!(next(&mut feed).await, document(1, "unheard"));
}

#[tokio::test]
async fn who_gives_up_waiting_loses_no_change() {
    let (folder, mut feed) = two().await;
    replace(folder.path(), 1, "second");
    let given_up = async {
        loop {
            if let Ok(event) = timeout(Duration::from_millis(1), feed.next()).await {
                return event;
            }
        }
    };
    let event = timeout(SOON, given_up).await;
    assert_eq!(event.expect("news come"), document(1, "second"));
}

#[tokio::test]
async fn a_swapped_link_changes_what_leads_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let swap = |to: &str| {
        let directory = folder.path().join(format!("..{to}"));
        fs::create_dir(&directory).unwrap();
        fs::write(file(&directory, 0), to).unwrap();
        let beside = folder.path().join("..data_tmp");
        symlink(format!("..{to}"), &beside).unwrap();
        fs::rename(&beside, folder.path().join("..data")).unwrap();
    };
    swap("first");
    let through = Path::new("..data").join(file(Path::new(""), 0));
    symlink(through, file(folder.path(), 0)).unwrap();
    let mut feed = DirFeed::new(folder.path().to_owned());
    feed.follow(index(0));
    assert_eq!(next(&mut feed).await, document(0, "first"));
    swap("second");
    assert_eq!(next(&mut feed).await, document(0, "second"));

    feed.changed = Changed::default();
    feed.note(Hint::Name("..data".into()));
    assert_eq!(feed.changed, Changed::Everything);
}

#[tokio::test]
async fn what_goes_is_absent_and_what_cannot_be_asked_is_unreachable() {
    let (folder, mut feed) = two().await;
    fs::remove_file(file(folder.path(), 0)).unwrap();
    assert_eq!(next(&mut feed).await, FeedEvent::Absent { name: index(0) });

    let away = tempfile::tempdir().unwrap();
    fs::rename(folder.path(), away.path().join("away")).unwrap();
    for shard in [0, 1] {
        let event = next(&mut feed).await;
        assert!(
            matches!(&event, FeedEvent::Unreachable { name, .. } if *name == index(shard)),
            "{event:?}"
        );
    }
    // What comes in its place is followed on, and watched.
    fs::create_dir(folder.path()).unwrap();
    replace(folder.path(), 1, "second");
    let mut events = vec![next(&mut feed).await, next(&mut feed).await];
    events.sort_by_key(|event| event.name().clone());
    assert_eq!(
        events,
        [FeedEvent::Absent { name: index(0) }, document(1, "second")]
    );
    replace(folder.path(), 0, "third");
    assert_eq!(next(&mut feed).await, document(0, "third"));
}

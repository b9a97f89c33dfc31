use std::{fs, time::Duration};

use tokio::time::timeout;

use super::{DirectoryWatch, Hint};

async fn next(watch: &mut DirectoryWatch) -> Hint {
    let hint = timeout(Duration::from_secs(20), watch.next()).await;
    hint.expect("a hint comes")
}

#[tokio::test]
async fn what_is_read_is_no_news() {
    let folder = tempfile::tempdir().unwrap();
    let (read, written) = (folder.path().join("read"), folder.path().join("written"));
    fs::write(&read, "before").unwrap();
    let mut watch = DirectoryWatch::new(folder.path());
    fs::read(&read).unwrap();
    fs::read_dir(folder.path()).unwrap().for_each(drop);
    fs::write(&written, "now").unwrap();
    assert_eq!(next(&mut watch).await, Hint::Name("written".into()));
}

#[tokio::test]
async fn a_replaced_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir_in(folder.path()).unwrap();
    let next_one = elsewhere.path().join("next");
    fs::write(folder.path().join("file"), "before").unwrap();
    fs::write(&next_one, "after").unwrap();
    let mut watch = DirectoryWatch::new(folder.path());
    fs::rename(&next_one, folder.path().join("file")).unwrap();
    assert_eq!(next(&mut watch).await, Hint::Name("file".into()));
}

#[tokio::test]
async fn a_directory_in_another_s_place_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().join("watched");
    let mut watch = DirectoryWatch::new(&watched);
    assert!(!watch.hears_all());
    assert!(!watch.renew());

    fs::create_dir(&watched).unwrap();
    assert!(watch.renew());
    assert!(!watch.renew());

    fs::rename(&watched, folder.path().join("old")).unwrap();
    assert_eq!(next(&mut watch).await, Hint::Anything);
    fs::create_dir(&watched).unwrap();
    assert!(watch.renew());
    fs::write(watched.join("file"), "new").unwrap();
    assert_eq!(next(&mut watch).await, Hint::Name("file".into()));
}

#[tokio::test]
async fn a_link_to_another_directory_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (path, beside) = (folder.path().join("path"), folder.path().join("beside"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    std::os::unix::fs::symlink(&first, &path).unwrap();
    let mut watch = DirectoryWatch::new(&path);
    std::os::unix::fs::symlink(&second, &beside).unwrap();
    fs::rename(&beside, &path).unwrap();
    assert!(watch.renew());
    fs::write(second.join("file"), "new").unwrap();
    assert_eq!(next(&mut watch).await, Hint::Name("file".into()));
}

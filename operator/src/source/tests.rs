use std::{collections::BTreeSet, fs, path::Path};

use weft_crds::{Kind, ObjectRef};

use super::{Change, Directory};

fn account(name: &str) -> String {
    format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: shop}}\n")
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

fn named(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::ServiceAccount, "shop", name)
}

/// What came and what went, files aside.
fn told(changes: &[Change]) -> (BTreeSet<ObjectRef>, BTreeSet<ObjectRef>) {
    let mut applied = BTreeSet::new();
    let mut removed = BTreeSet::new();
    for change in changes {
        match change {
            Change::Applied { object, .. } => {
                applied.insert(object.reference());
            }
            Change::Removed(object) => {
                removed.insert(object.clone());
            }
            _ => {}
        }
    }
    (applied, removed)
}

#[test]
fn only_manifests_are_read_and_not_what_editors_leave() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("below")).unwrap();
    write(root.path(), "a.yaml", &account("a"));
    write(root.path(), "below/b.yml", &account("b"));
    for other in [
        ".a.yaml.swp",
        "#a.yaml#",
        "a.yaml~",
        "4913",
        ".hidden.yaml",
        "c.txt",
    ] {
        write(root.path(), other, &account("never"));
    }
    let look = Directory::new(root.path()).look();
    let (applied, removed) = told(&look.changes);
    assert_eq!(applied, BTreeSet::from([named("a"), named("b")]));
    assert!(removed.is_empty() && !look.unsettled);
}

#[test]
fn a_look_at_an_unchanged_directory_tells_nothing() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    assert!(!directory.look().changes.is_empty());
    assert!(directory.look().changes.is_empty());
}

#[test]
fn a_file_that_is_missing_once_may_be_in_an_editors_hands_and_twice_is_gone() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    directory.look();

    fs::rename(root.path().join("a.yaml"), root.path().join("a.yaml~")).unwrap();
    let look = directory.look();
    assert!(look.unsettled && told(&look.changes).1.is_empty());
    write(root.path(), "a.yaml", &account("a"));
    let look = directory.look();
    assert!(!look.unsettled && told(&look.changes).1.is_empty());

    fs::remove_file(root.path().join("a.yaml")).unwrap();
    assert!(directory.look().unsettled);
    let look = directory.look();
    assert_eq!(told(&look.changes).1, BTreeSet::from([named("a")]));
    assert!(!look.unsettled);
}

#[test]
fn a_file_that_was_just_cut_to_nothing_is_not_believed_empty() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    directory.look();
    write(root.path(), "a.yaml", "");
    let look = directory.look();
    assert!(look.unsettled && told(&look.changes).1.is_empty());
}

#[test]
fn a_directory_that_cannot_be_read_takes_nothing_away() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("manifests");
    fs::create_dir(&inner).unwrap();
    write(&inner, "a.yaml", &account("a"));
    let mut directory = Directory::new(&inner);
    directory.look();
    fs::rename(&inner, root.path().join("elsewhere")).unwrap();
    for _ in 0..3 {
        let look = directory.look();
        assert!(told(&look.changes).1.is_empty());
    }
    fs::rename(root.path().join("elsewhere"), &inner).unwrap();
    assert!(told(&directory.look().changes).1.is_empty());
}

#[test]
fn an_object_moves_between_files_without_being_removed() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "a.yaml",
        &format!("{}---\n{}", account("a"), account("b")),
    );
    let mut directory = Directory::new(root.path());
    directory.look();
    write(root.path(), "a.yaml", &account("a"));
    write(root.path(), "b.yaml", &account("b"));
    let look = directory.look();
    assert!(told(&look.changes).1.is_empty(), "{:?}", look.changes);
}

use std::{collections::BTreeSet, fs, path::Path};

use weft_crds::{Kind, ObjectRef};

use super::{Change, Directory, Scope};

fn account(name: &str) -> String {
    format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: shop}}\n")
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

fn named(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::ServiceAccount, "shop", name)
}

struct Look {
    changes: Vec<Change>,
    unsettled: bool,
}

fn see(directory: &mut Directory) -> Look {
    see_at(directory, Scope::Everything)
}

fn see_at(directory: &mut Directory, scope: Scope) -> Look {
    let mut changes = Vec::new();
    let unsettled = directory.look(scope, &mut |change| changes.push(change));
    Look { changes, unsettled }
}

fn paths(root: &Path, names: &[&str]) -> Scope {
    Scope::Paths(names.iter().map(|name| root.join(name)).collect())
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
    let look = see(&mut Directory::new(root.path()));
    let (applied, removed) = told(&look.changes);
    assert_eq!(applied, BTreeSet::from([named("a"), named("b")]));
    assert!(removed.is_empty() && !look.unsettled);
}

#[test]
fn a_look_at_an_unchanged_directory_tells_nothing() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    assert!(!see(&mut directory).changes.is_empty());
    assert!(see(&mut directory).changes.is_empty());
}

#[test]
fn a_file_that_is_missing_once_may_be_in_an_editors_hands_and_twice_is_gone() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    see(&mut directory);

    fs::rename(root.path().join("a.yaml"), root.path().join("a.yaml~")).unwrap();
    let look = see(&mut directory);
    assert!(look.unsettled && told(&look.changes).1.is_empty());
    write(root.path(), "a.yaml", &account("a"));
    let look = see(&mut directory);
    assert!(!look.unsettled && told(&look.changes).1.is_empty());

    fs::remove_file(root.path().join("a.yaml")).unwrap();
    assert!(see(&mut directory).unsettled);
    let look = see(&mut directory);
    assert_eq!(told(&look.changes).1, BTreeSet::from([named("a")]));
    assert!(!look.unsettled);
}

#[test]
fn a_file_that_was_just_cut_to_nothing_is_not_believed_empty() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    see(&mut directory);
    write(root.path(), "a.yaml", "");
    let look = see(&mut directory);
    assert!(look.unsettled && told(&look.changes).1.is_empty());
}

#[test]
fn a_directory_that_cannot_be_read_takes_nothing_away() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("manifests");
    fs::create_dir(&inner).unwrap();
    write(&inner, "a.yaml", &account("a"));
    let mut directory = Directory::new(&inner);
    see(&mut directory);
    fs::rename(&inner, root.path().join("elsewhere")).unwrap();
    for _ in 0..3 {
        let look = see(&mut directory);
        assert!(told(&look.changes).1.is_empty());
    }
    fs::rename(root.path().join("elsewhere"), &inner).unwrap();
    assert!(told(&see(&mut directory).changes).1.is_empty());
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
    see(&mut directory);
    write(root.path(), "a.yaml", &account("a"));
    write(root.path(), "b.yaml", &account("b"));
    let look = see(&mut directory);
    assert!(told(&look.changes).1.is_empty(), "{:?}", look.changes);
}

#[test]
fn a_look_at_the_paths_that_were_reported_reads_no_other_file() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        write(root.path(), &format!("{name}.yaml"), &account(name));
    }
    let mut directory = Directory::new(root.path());
    see(&mut directory);
    write(root.path(), "a.yaml", &account("a2"));
    write(root.path(), "b.yaml", &account("b2"));
    write(root.path(), "a.yaml.next", &account("never"));
    let only_a = paths(root.path(), &["a.yaml", "a.yaml.next", ".a.yaml.swp"]);
    let told_of = told(&see_at(&mut directory, only_a).changes);
    assert_eq!(
        told_of,
        (BTreeSet::from([named("a2")]), BTreeSet::from([named("a")]))
    );
    let told_of = told(&see(&mut directory).changes);
    assert_eq!(
        told_of,
        (BTreeSet::from([named("b2")]), BTreeSet::from([named("b")]))
    );
}

#[test]
fn a_file_that_was_reported_missing_is_gone_at_the_next_look_at_whatever_else() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    see(&mut directory);
    fs::remove_file(root.path().join("a.yaml")).unwrap();
    let first = see_at(&mut directory, paths(root.path(), &["a.yaml"]));
    assert!(first.unsettled && told(&first.changes).1.is_empty());
    let second = see_at(&mut directory, paths(root.path(), &[]));
    assert!(!second.unsettled);
    assert_eq!(told(&second.changes).1, BTreeSet::from([named("a")]));
}

#[test]
fn a_report_of_a_directory_or_of_a_link_leads_to_a_look_at_everything() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", &account("a"));
    let mut directory = Directory::new(root.path());
    see(&mut directory);
    fs::create_dir(root.path().join("below")).unwrap();
    write(root.path(), "below/b.yaml", &account("b"));
    let seen = see_at(&mut directory, paths(root.path(), &["below"]));
    assert_eq!(told(&seen.changes).0, BTreeSet::from([named("b")]));

    fs::rename(root.path().join("below"), root.path().join(".away")).unwrap();
    see_at(&mut directory, paths(root.path(), &["below"]));
    let seen = see_at(&mut directory, paths(root.path(), &[]));
    assert_eq!(told(&seen.changes).1, BTreeSet::from([named("b")]));

    // As the kubelet mounts a ConfigMap: only `..data` is ever reported.
    fs::create_dir(root.path().join("..1")).unwrap();
    write(&root.path().join("..1"), "c.yaml", &account("c"));
    std::os::unix::fs::symlink("..1", root.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/c.yaml", root.path().join("c.yaml")).unwrap();
    let seen = see_at(&mut directory, paths(root.path(), &["c.yaml"]));
    assert_eq!(told(&seen.changes).0, BTreeSet::from([named("c")]));
    write(&root.path().join("..1"), "c.yaml", &account("c2"));
    let seen = see_at(&mut directory, paths(root.path(), &["..data"]));
    assert_eq!(told(&seen.changes).0, BTreeSet::from([named("c2")]));
}

#[test]
fn of_two_files_that_declare_an_object_the_first_wins_until_it_does_not_any_more() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "b.yaml", &account("same"));
    let mut directory = Directory::new(root.path());
    see(&mut directory);
    let complaints = |changes: &[Change]| -> Vec<(String, usize)> {
        let files = changes.iter().filter_map(|change| match change {
            Change::File { file, problems } => Some((file.clone(), problems.len())),
            _ => None,
        });
        files.collect()
    };
    write(root.path(), "a.yaml", &account("same"));
    let seen = see_at(&mut directory, paths(root.path(), &["a.yaml"]));
    assert_eq!(told(&seen.changes).0, BTreeSet::from([named("same")]));
    let (a, b) = ("a.yaml".to_owned(), "b.yaml".to_owned());
    assert_eq!(
        complaints(&seen.changes),
        [(a.clone(), 0), (b.clone(), 1)],
        "the other file is told of, too"
    );
    write(root.path(), "a.yaml", &account("other"));
    let seen = see_at(&mut directory, paths(root.path(), &["a.yaml"]));
    assert_eq!(
        told(&seen.changes).0,
        BTreeSet::from([named("same"), named("other")])
    );
    assert!(told(&seen.changes).1.is_empty());
    assert_eq!(complaints(&seen.changes), [(a, 0), (b, 0)]);
}

#[test]
fn a_large_directory_is_told_in_turns_and_loses_nothing_that_moved() {
    let root = tempfile::tempdir().unwrap();
    let name = |number: usize| format!("{number:03}.yaml");
    for number in 0..200 {
        write(root.path(), &name(number), &account(&format!("a{number}")));
    }
    let mut directory = Directory::new(root.path());
    assert_eq!(told(&see(&mut directory).changes).0.len(), 200);
    // Every object moves on by one file; the last one goes.
    for number in 0..200 {
        let text = match number {
            0 => account("first"),
            _ => account(&format!("a{}", number - 1)),
        };
        write(root.path(), &name(number), &text);
    }
    let (applied, removed) = told(&see(&mut directory).changes);
    assert_eq!(applied.len(), 200);
    assert_eq!(removed, BTreeSet::from([named("a199")]));
}

fn watched(uid: &str, generation: i64, ready: &str) -> kube::core::DynamicObject {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "weft.dev/v1alpha1", "kind": "AuthPolicy",
        "metadata": {"namespace": "shop", "name": "team", "uid": uid, "generation": generation},
        "spec": {"targetRefs": [{"kind": "Namespace", "name": "shop"}], "action": "Allow",
            "rules": [{"from": [{"namespaces": ["shop"]}]}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }))
    .unwrap()
}

#[test]
fn a_spec_is_read_once_and_its_status_each_time() {
    let types = kube::core::TypeMeta {
        api_version: "weft.dev/v1alpha1".to_owned(),
        kind: "AuthPolicy".to_owned(),
    };
    let mut reader = super::reader::Reader::new(Kind::AuthPolicy, types);
    let is_read = |change| matches!(change, Some(Change::Applied { .. }));
    assert!(is_read(reader.see(watched("a", 1, "False"))));
    match reader.see(watched("a", 1, "True")) {
        Some(Change::Told { object, status }) => {
            assert_eq!(object.to_string(), "AuthPolicy shop/team");
            assert_eq!(status.unwrap()["conditions"][0]["status"], "True");
        }
        other => panic!("{other:?}"),
    }
    assert!(is_read(reader.see(watched("a", 2, "True"))), "a new spec");
    assert!(
        is_read(reader.see(watched("b", 2, "True"))),
        "another of this name"
    );
    reader.forget("shop", "team");
    assert!(is_read(reader.see(watched("b", 2, "True"))), "it was gone");
}

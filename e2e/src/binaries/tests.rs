use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use super::{Cache, Tool, go, in_assets};

fn script(dir: &std::path::Path, name: &str, body: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn the_pinned_versions_are_read_from_go_mod() {
    for tool in Tool::API.into_iter().chain(Tool::NODE).chain([Tool::Helm]) {
        let version = tool.version();
        assert_eq!(
            version.split('.').count(),
            3,
            "{}: {version:?}",
            tool.name()
        );
        assert!(
            tool.module_dir().join("go.sum").is_file(),
            "{}",
            tool.name()
        );
    }
}

#[test]
fn kubebuilder_assets_win_where_they_hold_the_tool() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = script(dir.path(), "etcd", "exit 0");
    let assets = Some(dir.path().to_owned());
    assert_eq!(in_assets(Tool::Etcd, assets.clone()), Some(etcd));
    assert_eq!(in_assets(Tool::Kubectl, assets), None);
    assert_eq!(in_assets(Tool::Etcd, Some(PathBuf::new())), None);
    assert_eq!(in_assets(Tool::Etcd, None), None);
}

#[test]
fn the_cache_remembers_how_long_a_build_took() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path().to_owned()).unwrap();
    assert_eq!(cache.last_build(Tool::Etcd), None);
    assert_eq!(cache.lookup(Tool::Etcd), None);
    cache.note_build(Tool::Etcd, Duration::from_secs(61));
    assert_eq!(cache.last_build(Tool::Etcd), Some(Duration::from_secs(61)));
    let built = dir.path().join("built");
    fs::write(&built, "x").unwrap();
    let path = cache.install(Tool::Etcd, &built).unwrap();
    assert_eq!(cache.lookup(Tool::Etcd), Some(path));
}

#[test]
fn an_old_go_is_refused_by_name_and_a_later_one_found() {
    let dir = tempfile::tempdir().unwrap();
    let old = script(dir.path(), "old", "echo go1.19.8");
    let new = script(dir.path(), "new", "echo go1.24rc2");
    let absent = dir.path().join("absent");
    let found = go::Go::find_in(vec![absent.clone(), old.clone(), new.clone()]).unwrap();
    assert_eq!((found.path, found.version.as_str()), (new, "go1.24rc2"));
    let refusal = go::Go::find_in(vec![absent.clone(), old.clone()]).unwrap_err();
    assert!(refusal.contains("go1.19.8"), "{refusal}");
    assert!(refusal.contains(old.to_str().unwrap()), "{refusal}");
    let refusal = go::Go::find_in(vec![absent.clone()]).unwrap_err();
    assert!(refusal.contains("no `go` command"), "{refusal}");
    assert!(refusal.contains(absent.to_str().unwrap()), "{refusal}");
}

#[test]
fn versions_of_go_are_ordered_as_numbers() {
    assert_eq!(go::parse("go1.9"), Some((1, 9)));
    assert_eq!(go::parse("go1.26.8"), Some((1, 26)));
    assert_eq!(go::parse("devel"), None);
    assert!(go::parse("go1.9") < go::parse("go1.21rc1"));
}

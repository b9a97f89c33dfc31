use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    process::Command,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use super::{
    ControlPlane,
    process::{Process, tail},
    work_dir::WorkDir,
};

fn sh(script: &str, log: &std::path::Path) -> Process {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    Process::spawn("sh", command, File::create(log).unwrap()).unwrap()
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_after_its_grace() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut process = sh("trap '' TERM; echo up; while :; do sleep 0.1; done", &log);
    while tail(&log, 1) != "up" {
        assert!(process.exited().is_none(), "{}", tail(&log, 5));
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = process.stop(Duration::from_millis(200)).unwrap();
    assert_eq!(status.signal(), Some(9));
    assert_eq!(process.exited(), Some(status));
}

#[test]
fn a_process_outlives_the_thread_that_asked_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut process = std::thread::spawn(move || sh("sleep 30", &log))
        .join()
        .unwrap();
    assert_eq!(process.wait(Duration::from_millis(200)), None);
    let pid = process.pid();
    drop(process);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
}

#[test]
fn a_command_that_does_not_exist_is_an_error_and_not_a_hang() {
    let dir = tempfile::tempdir().unwrap();
    let log = File::create(dir.path().join("log")).unwrap();
    let error = Process::spawn("absent", Command::new("/nonexistent"), log).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_work_dir_is_removed_when_dropped() {
    let dir = WorkDir::create().unwrap();
    let path = dir.path().to_owned();
    fs::create_dir(path.join("etcd")).unwrap();
    drop(dir);
    assert!(!path.exists());
}

#[tokio::test]
async fn the_api_answers_survives_a_restart_and_leaves_nothing_behind() {
    let plane = ControlPlane::start().await.unwrap();
    println!("control plane ready in {:?}", plane.took());
    let client = plane.client().await.unwrap();
    let create = PostParams::default();
    let meta = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let namespace = Namespace {
        metadata: meta("shop"),
        ..Namespace::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&create, &namespace).await.unwrap();
    let account = ServiceAccount {
        metadata: meta("reader"),
        ..ServiceAccount::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "shop");
    accounts.create(&create, &account).await.unwrap();

    // RBAC is on: a service account without a binding may do nothing.
    let reader = plane
        .service_account_client("shop", "reader")
        .await
        .unwrap();
    let refused = Api::<ConfigMap>::namespaced(reader, "shop")
        .list(&Default::default())
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("system:serviceaccount:shop:reader"),
        "{refused}"
    );

    let kubectl = plane.kubectl();
    plane.stop_api_server().await.unwrap();
    let down = kubectl.run(&["get", "ns", "shop"]).await.unwrap_err();
    assert!(down.to_string().contains("refused"), "{down}");

    // Another process takes the port meanwhile, and gives it back once that has been noticed.
    let port = plane.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let log = plane.dir().join("kube-apiserver.log");
    let noticed = tokio::task::spawn_blocking(move || {
        let until = Instant::now() + Duration::from_secs(60);
        while !tail(&log, 50).contains("address already in use") && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(taken);
        Instant::now() < until
    });
    plane.start_api_server().await.unwrap();
    assert!(noticed.await.unwrap(), "the clash was never met");
    let printed = kubectl
        .run(&["get", "ns", "shop", "-o", "name"])
        .await
        .unwrap();
    assert_eq!(printed.stdout.trim(), "namespace/shop");

    let dir = plane.dir().to_owned();
    let stopping = Instant::now();
    drop(plane);
    println!("control plane stopped in {:?}", stopping.elapsed());
    assert!(!dir.exists());
    let left = running_under(&dir);
    assert!(left.is_empty(), "still running: {left:?}");
}

/// The command lines of processes that name `dir`.
fn running_under(dir: &std::path::Path) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(dir.to_str().unwrap()))
        .collect()
}

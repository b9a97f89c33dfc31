use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use weft_e2e::control_plane::process::{Process, tail};

use crate::stage::{CONFIG, SYSTEM, Stage, eventually};

/// How long a start may take on a machine that builds at the same time.
const START_BOUND: Duration = Duration::from_secs(20);

/// A running `weft-operator cluster`. Dropping it stops it as a kubelet does.
pub(crate) struct Operator {
    process: Process,
    log: PathBuf,
    /// Who it is in the Lease.
    pub(crate) identity: String,
}

impl Operator {
    /// Starts an operator that runs for leadership under a name of its own.
    pub(crate) fn start(stage: &Stage, identity: &str) -> Self {
        let binary = binary();
        let log = stage.plane.dir().join(format!("{identity}.log"));
        let mut command = Command::new(&binary);
        command
            .arg("cluster")
            .args(["--namespace", SYSTEM, "--config-namespace", CONFIG])
            .env("KUBECONFIG", &stage.operator_kubeconfig)
            // As the pod's own name arrives through the downward API.
            .env("POD_NAME", identity)
            .env("WEFT_POD", identity)
            .env("HOSTNAME", identity);
        let file = File::create(&log).unwrap();
        let process = Process::spawn("weft-operator", command, file)
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        Self {
            process,
            log,
            identity: identity.to_owned(),
        }
    }

    /// Starts one and waits until it leads.
    pub(crate) async fn lead(stage: &Stage, identity: &str) -> Self {
        let operator = Self::start(stage, identity);
        eventually(&format!("{identity} leads"), START_BOUND, || async {
            operator.assert_runs();
            match stage.leader().await {
                Some(holder) if holder.contains(identity) => Ok(()),
                other => Err(format!("{other:?} holds the lease; {}", operator.tail())),
            }
        })
        .await;
        operator
    }

    /// SIGKILL: no goodbye, no released lease.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, as a kubelet does.
    pub(crate) fn stop(&mut self) {
        let status = self.process.stop(Duration::from_secs(10));
        assert!(
            status.is_some_and(|status| status.success()),
            "{} ended with {status:?} on SIGTERM: {}",
            self.identity,
            self.tail()
        );
    }

    pub(crate) fn assert_runs(&self) {
        assert_eq!(
            self.process.exited(),
            None,
            "{} has ended: {}",
            self.identity,
            self.tail()
        );
    }

    pub(crate) fn tail(&self) -> String {
        tail(&self.log, 15)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.process.stop(Duration::from_secs(5));
        if std::thread::panicking() {
            println!("--- {} said last:\n{}", self.identity, self.tail());
        }
    }
}

/// Cargo puts test executables into `deps/`, beside which the binaries stand.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("weft-operator");
    assert!(
        path.is_file(),
        "{} is not built; run `cargo build -p weft-operator` first (`make test` does)",
        path.display()
    );
    path
}

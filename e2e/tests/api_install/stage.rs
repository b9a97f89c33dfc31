use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use weft_e2e::{
    binaries::{self, Tool},
    control_plane::{
        ControlPlane,
        process::{Process, tail},
    },
};
use weft_install::Values;

pub(crate) const SYSTEM: &str = "weft-system";
pub(crate) const CONFIG: &str = "weft-config";
/// A namespace in the mesh, with the service account `reviews`.
pub(crate) const SHOP: &str = "shop";
/// A namespace outside.
pub(crate) const ELSEWHERE: &str = "elsewhere";

/// How long anything here may take on a machine that builds at the same time.
const BOUND: Duration = Duration::from_secs(60);

/// Several API servers at once would only slow each other down.
static TURN: Mutex<()> = Mutex::const_new(());

/// An API server of a test's own, with a namespace in the mesh and one outside.
pub(crate) struct Stage {
    // In this order dropped.
    operator: Option<Process>,
    pub(crate) plane: ControlPlane,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) async fn enter() -> Self {
        let turn = TURN.lock().await;
        let stage = Self {
            operator: None,
            plane: ControlPlane::start().await.unwrap(),
            _turn: turn,
        };
        stage
            .plane
            .create_namespace(SHOP, &[("weft.dev/inject", "enabled")])
            .await
            .unwrap();
        stage.plane.create_namespace(ELSEWHERE, &[]).await.unwrap();
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "reviews", "namespace": SHOP},
        });
        stage.apply(&[account]).await;
        stage
    }

    /// What kubectl prints.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl().run(args).await.unwrap().stdout
    }

    /// The same, with a manifest on its standard input.
    pub(crate) async fn kubectl_with(&self, args: &[&str], input: &str) -> String {
        let kubectl = self.plane.kubectl();
        kubectl.run_with_input(args, input).await.unwrap().stdout
    }

    /// `kubectl apply --server-side -f -`.
    pub(crate) async fn apply(&self, objects: &[Value]) -> String {
        let yaml = weft_install::to_yaml(objects).unwrap();
        self.kubectl_with(&["apply", "--server-side", "-f", "-"], &yaml)
            .await
    }

    /// What Helm prints.
    pub(crate) async fn helm(&self, args: &[&str]) -> String {
        let helm = tokio::task::spawn_blocking(|| binaries::find_or_build(Tool::Helm));
        let helm = helm.await.unwrap().unwrap();
        let run = tokio::process::Command::new(&helm)
            .args(args)
            .env("KUBECONFIG", self.plane.kubeconfig())
            .env("HOME", self.plane.dir())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(BOUND, run).await.unwrap().unwrap();
        assert!(
            output.status.success(),
            "helm {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the installed operator with the rights of its service account, and waits until it
    /// has done what it does at once: its CA, an identity, who may read, and `caBundle`.
    pub(crate) async fn start_operator(&mut self) {
        let kubeconfig = self
            .plane
            .service_account_kubeconfig(SYSTEM, "weft-operator")
            .await
            .unwrap();
        let log = self.plane.dir().join("operator.log");
        let mut command = Command::new(operator());
        command
            .arg("cluster")
            .arg(format!("--webhook=127.0.0.1:{}", free_port()))
            .env("KUBECONFIG", kubeconfig);
        let file = File::options().create(true).append(true).open(&log);
        self.operator = Some(Process::spawn("weft-operator", command, file.unwrap()).unwrap());
        for (args, says) in [
            (
                &[
                    "-n",
                    SHOP,
                    "get",
                    "secret",
                    "weft-identity-reviews",
                    "-o",
                    "name",
                ][..],
                "weft-identity-reviews",
            ),
            (
                &[
                    "-n",
                    CONFIG,
                    "get",
                    "rolebinding",
                    "weft-proxy",
                    "-o",
                    "yaml",
                ],
                "system:serviceaccounts:shop",
            ),
            (
                &["get", "mutatingwebhookconfiguration", "-o", "yaml"],
                "caBundle",
            ),
            (
                &["get", "validatingwebhookconfiguration", "-o", "yaml"],
                "caBundle",
            ),
        ] {
            eventually(&format!("{args:?} says {says}"), async || {
                match self.plane.kubectl().run(args).await {
                    Ok(printed) if printed.stdout.contains(says) => Ok(()),
                    other => Err(format!("{other:?}; {}", tail(&log, 10))),
                }
            })
            .await;
        }
    }

    pub(crate) fn stop_operator(&mut self) {
        if let Some(mut operator) = self.operator.take() {
            operator.stop(Duration::from_secs(10));
        }
    }

    /// Every object of an installation as it is stored, down to who manages which field.
    pub(crate) async fn installed(&self) -> Vec<Value> {
        let names = weft_install::to_yaml(&installation()).unwrap();
        let args = ["get", "-f", "-", "-o", "json", "--show-managed-fields"];
        let list: Value = serde_json::from_str(&self.kubectl_with(&args, &names).await).unwrap();
        list["items"].as_array().unwrap().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.plane.dir().join("operator.log");
            println!("--- the operator said last:\n{}", tail(&log, 30));
        }
        self.stop_operator();
    }
}

/// What `weft install` prints.
pub(crate) fn installation() -> Vec<Value> {
    weft_install::install(&Values::defaults().unwrap()).unwrap()
}

pub(crate) fn config(below: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    path.join(below).to_string_lossy().into_owned()
}

/// Asks until the answer is `Ok`; what it was last, the panic tells.
pub(crate) async fn eventually(what: &str, ask: impl AsyncFn() -> Result<(), String>) {
    let started = Instant::now();
    while let Err(last) = ask().await {
        assert!(
            started.elapsed() < BOUND,
            "not within {BOUND:?}: {what}; at last: {last}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Cargo puts test executables into `deps/`, beside which the binaries stand.
fn operator() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().and_then(Path::parent).unwrap();
    let path = directory.join("weft-operator");
    assert!(
        path.is_file(),
        "{} is not built; run `cargo build -p weft-operator` first (`make test` does)",
        path.display()
    );
    path
}

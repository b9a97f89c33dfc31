use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tempfile::TempDir;
use weft_engine::documents::Envelope;

/// For what happens at once on an idle machine; generous, because builds run beside it.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A directory of manifests and one for what the operator writes.
pub(crate) struct Stage {
    directory: TempDir,
}

/// A running operator; dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Stage {
    /// Two services of one namespace, each with a meshed pod.
    pub(crate) fn new() -> Self {
        let stage = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(stage.manifests()).unwrap();
        stage.put("namespace.yaml", NAMESPACE);
        stage.put("reviews.yaml", &service("reviews", 1));
        stage.put("ratings.yaml", &service("ratings", 2));
        stage
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// Saves a manifest as an editor does: beside, then renamed.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let beside = self.manifests().join(format!(".{name}.swp"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.manifests().join(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.manifests().join(name)).unwrap();
    }

    pub(crate) fn start(&self) -> Operator {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Operator {
        let log = self.directory.path().join("operator.log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_weft-operator"))
            .arg("standalone")
            .arg("--manifests")
            .arg(self.manifests())
            .arg("--out")
            .arg(self.out())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Operator { child, lines, log }
    }

    /// A document, if it is there; panics when it is cut short or was sealed wrongly.
    pub(crate) fn document(&self, name: &str) -> Option<Value> {
        let path = self.out().join("config").join(format!("{name}.json"));
        let text = fs::read_to_string(path).ok()?;
        let envelope = Envelope::from_json(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(envelope.digest, envelope.document.digest());
        Some(serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn says(&self, name: &str, text: &str) -> bool {
        self.document(name)
            .is_some_and(|document| document.to_string().contains(text))
    }

    pub(crate) fn status(&self, name: &str) -> Option<Value> {
        let path = self.out().join("status").join(format!("{name}.json"));
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    /// A condition of a status: its status, reason and message in one line.
    pub(crate) fn condition(&self, name: &str, kind: &str) -> String {
        let status = self.status(name).unwrap_or_default();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        conditions
            .iter()
            .find(|condition| condition["type"] == kind)
            .map(|condition| {
                format!(
                    "{} {} {}",
                    condition["status"].as_str().unwrap_or_default(),
                    condition["reason"].as_str().unwrap_or_default(),
                    condition["message"].as_str().unwrap_or_default()
                )
            })
            .unwrap_or_default()
    }

    /// Every file below `out` with its time of modification and its inode: a file that was
    /// replaced by an equal one shows too.
    pub(crate) fn written(&self) -> BTreeMap<PathBuf, (SystemTime, u64)> {
        let mut files = BTreeMap::new();
        collect(&self.out(), &mut files);
        files
    }
}

impl Operator {
    /// Waits for the line that says that everything is written.
    pub(crate) fn ready(&self) -> String {
        let line = self.lines.recv_timeout(BOUND);
        line.unwrap_or_else(|_| panic!("no ready line; it said:\n{}", self.log()))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; says how it ended and how long that took.
    pub(crate) fn stop(mut self) -> (bool, Duration) {
        let started = Instant::now();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
        let mut ended = None;
        eventually("it ends on SIGTERM", BOUND, || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        (
            ended.is_some_and(|status| status.success()),
            started.elapsed(),
        )
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the operator said:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition; says how long that took.
pub(crate) fn eventually(what: &str, bound: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < bound, "not within {bound:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, (SystemTime, u64)>) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            collect(&entry.path(), files);
        } else {
            files.insert(entry.path(), (metadata.modified().unwrap(), metadata.ino()));
        }
    }
}

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {weft.dev/inject: enabled}}
";

/// A service, its account, its pod and its address.
pub(crate) fn service(name: &str, number: u8) -> String {
    format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: shop}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  clusterIP: 10.96.0.{number}
  selector: {{app: {name}}}
  ports:
  - {{name: http, port: 9080, targetPort: 9080}}
---
apiVersion: v1
kind: Pod
metadata:
  name: {name}-0
  namespace: shop
  labels: {{app: {name}}}
  annotations: {{weft.dev/injected: \"true\"}}
spec:
  serviceAccountName: {name}
  containers:
  - {{name: app, image: app}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: shop
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
ports:
- {{name: http, port: 9080, protocol: TCP}}
endpoints:
- addresses: [10.1.0.{number}]
  conditions: {{ready: true}}
  targetRef: {{kind: Pod, name: {name}-0, namespace: shop}}
"
    )
}

/// A route whose mark shows up in the service's document.
pub(crate) fn route(name: &str, service: &str, mark: &str) -> String {
    format!(
        "
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs:
  - {{kind: Service, name: {service}, port: 9080}}
  http:
  - matches:
    - headers: [{{name: x-mark, type: Exact, value: {mark}}}]
    backendRefs:
    - {{name: {service}, port: 9080}}
"
    )
}

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use weft_e2e::control_plane::{
    ControlPlane,
    process::{Process, tail},
};

/// How long anything here may take on a machine that builds at the same time.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// An API server of this test's own (webhooks concern the whole of it) with what `config/` holds,
/// and an operator that serves the webhooks to it. The operator is no pod here, so the API server
/// reaches it by URL and not by the Service; all else is as installed.
pub(crate) struct Stage {
    // In this order dropped.
    operator: Option<Process>,
    pub(crate) plane: ControlPlane,
    pub(crate) client: Client,
    port: u16,
}

impl Stage {
    pub(crate) async fn enter() -> Self {
        let plane = ControlPlane::start().await.unwrap();
        let stage = Self {
            client: plane.client().await.unwrap(),
            plane,
            operator: None,
            port: free_port(),
        };
        stage.install().await;
        stage
    }

    /// `kubectl apply --server-side -k config/`, with the operator by URL. Gives what it printed.
    pub(crate) async fn install(&self) -> String {
        let kustomized = self
            .plane
            .kubectl()
            .run(&["kustomize", &config().to_string_lossy()])
            .await
            .unwrap();
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(&kustomized.stdout).unwrap();
        for document in &mut documents {
            let webhooks = document.get_mut("webhooks").and_then(Value::as_array_mut);
            for webhook in webhooks.into_iter().flatten() {
                let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap();
                let url = format!("https://127.0.0.1:{}{path}", self.port);
                webhook["clientConfig"] = serde_json::json!({"url": url});
            }
        }
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": documents});
        let file = self.plane.dir().join("config.json");
        fs::write(&file, list.to_string()).unwrap();
        let applied = self
            .plane
            .kubectl()
            .run(&["apply", "--server-side", "-f", &file.to_string_lossy()])
            .await;
        applied.unwrap().stdout
    }

    /// Starts the operator with the rights of its service account, and waits until it is ready.
    pub(crate) async fn start_operator(&mut self) {
        let kubeconfig = self
            .plane
            .service_account_kubeconfig("weft-system", "weft-operator")
            .await
            .unwrap();
        let metrics = free_port();
        let log = self.log();
        let mut command = Command::new(program("weft-operator"));
        command
            .arg("cluster")
            .arg(format!("--webhook=127.0.0.1:{}", self.port))
            .arg("--webhook-name=127.0.0.1")
            .arg("--webhook-certificate-lifetime=10s")
            .arg(format!("--metrics=127.0.0.1:{metrics}"))
            .arg("--proxy-image=registry.example/weft-proxy:test")
            .env("KUBECONFIG", kubeconfig);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        self.operator = Some(Process::spawn("weft-operator", command, file).unwrap());
        eventually("the operator is ready", || async {
            let url = format!("http://127.0.0.1:{metrics}/readyz");
            match ask(&url).await {
                Some(200) => Ok(()),
                other => Err(format!("{other:?}; {}", tail(&log, 10))),
            }
        })
        .await;
    }

    pub(crate) fn stop_operator(&mut self) {
        if let Some(mut operator) = self.operator.take() {
            operator.stop(Duration::from_secs(10));
        }
    }

    /// The certificate that the webhooks show to who trusts `bundle`, after a handshake in which
    /// it was verified for the name by which the API server calls.
    pub(crate) async fn shown(&self, bundle: &str) -> Result<Vec<u8>, String> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let port = self.port;
        let handshake = move || {
            let name = "127.0.0.1".try_into().unwrap();
            let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(BOUND))?;
            while session.is_handshaking() {
                session.complete_io(&mut stream)?;
            }
            let chain = session.peer_certificates().unwrap();
            Ok::<_, std::io::Error>(chain.first().unwrap().to_vec())
        };
        let shown = tokio::task::spawn_blocking(handshake).await.unwrap();
        shown.map_err(|error| error.to_string())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.plane.dir().join("operator.log")
    }

    pub(crate) fn api(&self, object: &Value) -> Api<DynamicObject> {
        let version = object["apiVersion"].as_str().unwrap();
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let kind = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
        let resource = ApiResource::from_gvk(&kind);
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Creates an object as a user does; gives what the API server stored of it.
    pub(crate) async fn create(&self, object: &Value) -> Result<Value, String> {
        let typed: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        match self
            .api(object)
            .create(&PostParams::default(), &typed)
            .await
        {
            Ok(stored) => Ok(serde_json::to_value(stored).unwrap()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// An object as it is stored.
    pub(crate) async fn stored(&self, kind: &str, name: &str) -> Value {
        let of = serde_json::json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {},
        });
        serde_json::to_value(self.api(&of).get(name).await.unwrap()).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the operator said last:\n{}", tail(&self.log(), 30));
        }
        self.stop_operator();
    }
}

/// Asks until the answer is `Ok`; what it was last, the panic tells.
pub(crate) async fn eventually<F: Future<Output = Result<(), String>>>(
    what: &str,
    mut question: impl FnMut() -> F,
) {
    let started = Instant::now();
    loop {
        let Err(answer) = question().await else {
            return;
        };
        assert!(
            started.elapsed() < BOUND,
            "in vain for {BOUND:?}: {what}; {answer}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The status of a GET.
async fn ask(url: &str) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = tokio::net::TcpStream::connect(host).await.ok()?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Cargo puts test executables into `deps/`, beside which the binaries stand.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().and_then(Path::parent).unwrap();
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is not built; run `cargo build -p weft-operator -p weft-cli` first (`make test` does)",
        path.display()
    );
    path
}

//! Proxy processes.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{Mesh, PATIENCE, eventually, fresh_ip};

/// A proxy to be started.
pub struct ProxyBuilder {
    arguments: Vec<String>,
    metrics: SocketAddr,
    admin: SocketAddr,
    outbound: SocketAddr,
    log: PathBuf,
    access_log: PathBuf,
    config_dir: PathBuf,
    config_arguments: Option<Vec<String>>,
}

/// A running proxy; killed and waited for on drop.
pub struct Proxy {
    child: Child,
    /// Its `--outbound` address: HTTP by `Host`.
    pub outbound: SocketAddr,
    pub metrics: SocketAddr,
    pub admin: SocketAddr,
    log: PathBuf,
    access_log: PathBuf,
}

impl ProxyBuilder {
    pub(super) fn new(mesh: &Mesh, namespace: &str, service_account: &str) -> Self {
        // The proxy's own IP is fresh, so its well-known ports are free.
        let ip = fresh_ip();
        let at = |port| SocketAddr::from((ip, port));
        let run = mesh
            .path()
            .join(format!("proxy-{namespace}-{service_account}-{ip}"));
        let identity = mesh.identity_dir(namespace, service_account);
        let arguments = [
            "--namespace".to_owned(),
            namespace.to_owned(),
            "--service-account".to_owned(),
            service_account.to_owned(),
            "--identity-dir".to_owned(),
            identity.display().to_string(),
            "--outbound".to_owned(),
            at(15001).to_string(),
            "--metrics".to_owned(),
            at(15020).to_string(),
            "--admin".to_owned(),
            at(15000).to_string(),
            "--workers".to_owned(),
            "2".to_owned(),
            "--access-log".to_owned(),
            run.with_extension("access").display().to_string(),
        ];
        Self {
            arguments: arguments.into(),
            metrics: at(15020),
            admin: at(15000),
            outbound: at(15001),
            log: run.with_extension("log"),
            access_log: run.with_extension("access"),
            config_dir: mesh.config_dir(),
            config_arguments: None,
        }
    }

    /// Any further flag.
    pub fn arg(mut self, flag: &str, value: impl ToString) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_string()]);
        self
    }

    /// Another number of workers than two.
    pub fn workers(mut self, count: usize) -> Self {
        if let Some(at) = self.arguments.iter().position(|flag| flag == "--workers") {
            self.arguments[at + 1] = count.to_string();
        }
        self
    }

    /// A listener for one service port.
    pub fn outbound_bind(self, listen: SocketAddr, service: &str) -> Self {
        self.arg("--outbound-bind", format!("{listen}={service}"))
    }

    /// A listener on the pod's own port.
    pub fn inbound_bind(self, listen: SocketAddr, app: SocketAddr) -> Self {
        self.arg("--inbound-bind", format!("{listen}={app}"))
    }

    /// Another source of config than the mesh's directory.
    pub fn config(mut self, arguments: &[&str]) -> Self {
        self.config_arguments = Some(arguments.iter().map(ToString::to_string).collect());
        self
    }

    /// Starts it without waiting.
    pub fn spawn(self) -> Proxy {
        let log = File::create(&self.log).unwrap();
        let config = self.config_arguments.unwrap_or_else(|| {
            vec![
                "--config-dir".to_owned(),
                self.config_dir.display().to_string(),
            ]
        });
        let child = Command::new(env!("CARGO_BIN_EXE_weft-proxy"))
            .args(&config)
            .args(&self.arguments)
            .env("RUST_LOG", "info,weft_proxy=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the proxy's binary starts");
        Proxy {
            child,
            outbound: self.outbound,
            metrics: self.metrics,
            admin: self.admin,
            log: self.log,
            access_log: self.access_log,
        }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Proxy {
        let mut proxy = self.spawn();
        let end = Instant::now() + PATIENCE;
        while !proxy.is_ready().await {
            if let Some(status) = proxy.child.try_wait().unwrap() {
                panic!("the proxy ended with {status}:\n{}", proxy.log());
            }
            assert!(Instant::now() < end, "not ready in time:\n{}", proxy.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy
    }
}

impl Proxy {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub async fn is_ready(&self) -> bool {
        matches!(http_get(self.metrics, "/ready").await, Some((200, _)))
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its access log's lines.
    pub fn access_log(&self) -> Vec<serde_json::Value> {
        fs::read_to_string(&self.access_log)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits for an access log line.
    pub async fn logged(
        &self,
        what: &str,
        is_it: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        eventually(what, || async {
            self.access_log().into_iter().find(|line| is_it(line))
        })
        .await
    }

    /// The sum of the series of `metric` that have all these labels (`name="value"`).
    pub async fn metric(&self, metric: &str, labels: &[&str]) -> f64 {
        let (_, text) = http_get(self.metrics, "/metrics").await.unwrap_or_default();
        text.lines()
            .filter(|line| {
                let name = line.split(['{', ' ']).next();
                name == Some(metric) && labels.iter().all(|label| line.contains(label))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The admin port's answer, as JSON.
    pub async fn admin(&self, path: &str) -> serde_json::Value {
        let (_, body) = http_get(self.admin, path).await.unwrap_or_default();
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// How the process ended, once it has.
    pub async fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "the proxy does not end:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- log of the proxy at {} ---\n{}",
                self.outbound,
                self.log()
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a GET; `None` when there is no answer.
pub async fn http_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    };
    timeout(Duration::from_secs(2), exchange).await.ok()?
}

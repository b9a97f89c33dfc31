//! A pod: a network namespace, an application, the capture and a proxy as the injection starts
//! them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    mesh::{Mesh, PATIENCE},
    netns::Netns,
};

pub(crate) const PROXY_UID: u32 = 1337;
const SHORT: Duration = Duration::from_secs(5);

/// A pod and its proxy.
pub(crate) struct Pod {
    pub(crate) netns: Netns,
    proxy: Option<Child>,
    log: PathBuf,
}

impl Pod {
    pub(crate) fn new(role: &str) -> Self {
        Self {
            netns: Netns::new(role),
            proxy: None,
            log: PathBuf::new(),
        }
    }

    /// Redirects its connections; `exclude` are further flags.
    pub(crate) fn capture(&self, exclude: &[&str]) {
        let output = self.netns.within(|| {
            Command::new(env!("CARGO_BIN_EXE_weft-proxy"))
                .args(["capture", "--exclude-inbound-ports=15020"])
                .args(exclude)
                .output()
                .unwrap()
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Tries to capture as a user without rights; what it said when it failed.
    pub(crate) fn refused_capture(&self, mesh: &Mesh) -> String {
        let binary = binary(mesh);
        let output = self.netns.within(|| {
            let mut command = Command::new(binary);
            command.arg("capture").uid(PROXY_UID).gid(PROXY_UID);
            command.output().unwrap()
        });
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts its proxy as the user that the injection chooses, and waits until it is ready.
    pub(crate) fn start_proxy(&mut self, mesh: &Mesh, account: &str, address: &str, probes: &str) {
        let identity = readable(mesh, account);
        self.log = mesh.path().join(format!("{account}.log"));
        let log = File::create(&self.log).unwrap();
        let mut command = Command::new(binary(mesh));
        command
            .args(["--namespace=shop", "--workers=2", "--access-log=off"])
            .arg(format!("--service-account={account}"))
            .arg(format!("--config-dir={}", mesh.config_dir().display()))
            .arg(format!("--identity-dir={}", identity.display()))
            .args(["--outbound=127.0.0.1:15001", "--inbound=0.0.0.0:15006"])
            .args(["--metrics=0.0.0.0:15020", "--admin=127.0.0.1:15000"])
            .env("WEFT_POD_IP", address)
            .env("RUST_LOG", "info,weft_proxy=debug")
            .uid(PROXY_UID)
            .gid(PROXY_UID)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if !probes.is_empty() {
            command.env("WEFT_PROBES", probes);
        }
        self.proxy = Some(self.netns.within(|| command.spawn().unwrap()));
        let end = Instant::now() + PATIENCE;
        while self
            .get("127.0.0.1:15020", "/ready")
            .is_none_or(|(status, _)| status != 200)
        {
            assert!(Instant::now() < end, "not ready: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// GET by a process of the pod; status and body.
    pub(crate) fn get(&self, address: &str, path: &str) -> Option<(u16, String)> {
        self.netns.within(|| get(address, path))
    }

    /// Sends a line and gives the answer's line.
    pub(crate) fn line(&self, address: &str, line: &str) -> String {
        self.netns.within(|| {
            let mut stream = connect(address).expect("the connection is taken");
            stream.write_all(format!("{line}\n").as_bytes()).unwrap();
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).unwrap();
            answer.trim_end().to_owned()
        })
    }

    /// What a server says that speaks first.
    pub(crate) fn greeting(&self, address: &str) -> String {
        self.netns.within(|| {
            let stream = connect(address).expect("the connection is taken");
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).unwrap();
            answer.trim_end().to_owned()
        })
    }

    /// An HTTP application: it answers with the peer's address and the request's head.
    pub(crate) fn serve_http(&self, address: &str) {
        self.serve(address, |mut stream, peer| {
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let body = format!("peer={peer}\n{head}");
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        });
    }

    /// An application that takes connections and never answers; it gives the lines that it read.
    pub(crate) fn serve_silence(&self, address: &str) -> mpsc::Receiver<String> {
        let (told, lines) = mpsc::channel();
        self.serve(address, move |stream, _| {
            stream.set_read_timeout(None).unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        lines
    }

    /// A TCP application that answers a line with the peer's address and the line.
    pub(crate) fn serve_lines(&self, address: &str) {
        self.serve(address, |mut stream, peer| {
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            if reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let _ = write!(stream, "{} {line}", peer.ip());
            }
        });
    }

    /// A TCP application that speaks first.
    pub(crate) fn serve_greeting(&self, address: &str) {
        self.serve(address, |mut stream, peer| {
            let _ = writeln!(stream, "hello {}", peer.ip());
        });
    }

    fn serve(
        &self,
        address: &str,
        answer: impl Fn(TcpStream, SocketAddr) + Send + Clone + 'static,
    ) {
        let listener = self.netns.within(|| TcpListener::bind(address).unwrap());
        // Ends with the test's process; the socket goes with it.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = answer.clone();
                thread::spawn(move || {
                    stream.set_read_timeout(Some(SHORT)).unwrap();
                    if let Ok(peer) = stream.peer_addr() {
                        answer(stream, peer);
                    }
                });
            }
        });
    }

    /// The sum of a metric's series with these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.get("127.0.0.1:15020", "/metrics").unwrap();
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {} ---\n{}", self.log.display(), self.log());
        }
        if let Some(proxy) = &mut self.proxy {
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

/// GET; status and body.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    ask(connect(address)?, &format!("GET {path}"), address)
}

/// Sends a request, and gives the answer's status and body.
pub(crate) fn ask(mut stream: TcpStream, request: &str, host: &str) -> Option<(u16, String)> {
    let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

pub(crate) fn connect(address: &str) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.parse().unwrap(), SHORT).ok()?;
    stream.set_read_timeout(Some(SHORT)).unwrap();
    Some(stream)
}

/// The proxy, where any user may read it: the build's directory may be nobody else's.
fn binary(mesh: &Mesh) -> PathBuf {
    fs::set_permissions(mesh.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = mesh.path().join("weft-proxy");
    if !binary.exists() {
        // By another process: a file that this one holds open for writing, a child forked at that
        // moment holds too, and it cannot be run ("text file busy").
        let mut copy = Command::new("cp");
        copy.arg(env!("CARGO_BIN_EXE_weft-proxy")).arg(&binary);
        assert!(copy.status().unwrap().success());
    }
    binary
}

/// Lets the proxy's user read the mesh's directory and one identity, as a Secret volume would.
fn readable(mesh: &Mesh, account: &str) -> PathBuf {
    fs::set_permissions(mesh.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let identity = mesh.issue("shop", account);
    own(&identity);
    identity
}

fn own(path: &Path) {
    let data = fs::canonicalize(path.join("..data")).unwrap();
    for file in ["tls.crt", "tls.key", "ca.crt"] {
        chown(data.join(file), Some(PROXY_UID), Some(PROXY_UID)).unwrap();
    }
}

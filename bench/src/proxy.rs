//! A proxy's process that loads services as they are called.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use weft_e2e::control_plane::process::{Process, tail};

use crate::{BenchError, footprint::settled_kib, lowering::ms, manifests};

const READY: Duration = Duration::from_secs(30);

/// Figures of one proxy.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Worker threads.
    pub workers: usize,
    /// From the start of the process to readiness.
    pub ready_ms: f64,
    /// Resident memory before the first request, in KiB.
    pub idle_kib: u64,
    /// Services that were called, once each.
    pub called: usize,
    /// What the calls were answered with: nothing listens behind the endpoints, so a proxy that
    /// knows the service answers 503.
    pub statuses: BTreeMap<u16, usize>,
    /// Resident memory after them, in KiB.
    pub loaded_kib: u64,
}

/// Starts a proxy beside service 0 on the documents in `out`, and calls `called` services.
pub fn measure(
    program: &Path,
    out: &Path,
    folder: &Path,
    called: usize,
    workers: usize,
) -> Result<Proxy, BenchError> {
    let (namespace, account) = (manifests::namespace(0), manifests::name(0));
    let (outbound, metrics, admin) = (free()?, free()?, free()?);
    let state = folder.join("state");
    fs::create_dir_all(&state).map_err(BenchError::file(&state))?;
    let log = folder.join("proxy.log");
    let file = File::create(&log).map_err(BenchError::file(&log))?;
    let mut command = Command::new(program);
    command
        .args(["--namespace", &namespace, "--service-account", &account])
        .args(["--pod", "bench", "--workers", &workers.to_string()])
        .args(["--outbound", &outbound.to_string()])
        .args(["--metrics", &metrics.to_string()])
        .args(["--admin", &admin.to_string(), "--access-log", "off"])
        .arg("--config-dir")
        .arg(out.join("config"))
        .arg("--identity-dir")
        .arg(out.join("identities").join(&namespace).join(&account))
        .arg("--state-dir")
        .arg(&state);
    let began = Instant::now();
    let process = Process::spawn("weft-proxy", command, file).map_err(BenchError::file(program))?;
    let failed = |reason: String| BenchError::Process {
        program: "weft-proxy".to_owned(),
        reason,
        log: tail(&log, 12),
    };
    while get(metrics, "localhost", "/ready") != Some(200) {
        if let Some(status) = process.exited() {
            return Err(failed(format!("ended early: {status}")));
        }
        if began.elapsed() > READY {
            return Err(failed("was not ready within 30 s".to_owned()));
        }
        thread::sleep(Duration::from_millis(2));
    }
    let ready = began.elapsed();
    let idle_kib = settled_kib(process.pid());
    let mut statuses = BTreeMap::new();
    for service in 0..called {
        let host = format!(
            "{}.{}",
            manifests::name(service),
            manifests::namespace(service)
        );
        // 0 stands for a connection that gave no response.
        let status = get(outbound, &host, "/").unwrap_or(0);
        *statuses.entry(status).or_insert(0) += 1;
        if status == 0 && process.exited().is_some() {
            return Err(failed(format!("ended while {host} was called")));
        }
    }
    if statuses.get(&503).copied().unwrap_or(0) < called {
        return Err(failed(format!(
            "answered {statuses:?}; every service is known and none has a listener: 503 is right"
        )));
    }
    Ok(Proxy {
        workers,
        ready_ms: ms(ready),
        idle_kib,
        called,
        statuses,
        loaded_kib: settled_kib(process.pid()),
    })
}

/// An address that nothing listens on now.
fn free() -> Result<SocketAddr, BenchError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(BenchError::file("127.0.0.1:0"))
}

/// The status of one GET on a connection of its own; at most five seconds.
fn get(address: SocketAddr, host: &str, path: &str) -> Option<u16> {
    let bound = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, bound).ok()?;
    stream.set_read_timeout(Some(bound)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while head.len() < 12 {
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            read => head.extend_from_slice(buffer.get(..read)?),
        }
    }
    // "HTTP/1.1 503"
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

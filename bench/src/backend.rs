//! What answers behind the proxies: nginx where it can, haproxy over TLS, and a program of ours for
//! what both cannot do.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use crate::{
    BenchError,
    peers::{haproxy, nginx},
    running::{Core, Running, free},
    tools::Tools,
};

/// Endpoints of the service that has many.
pub const MANY: u16 = 1000;

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// HTTP/1.1, and bytes: a body of 1 KiB to every request.
    pub plain: SocketAddr,
    /// The same in HTTP/2 with prior knowledge.
    pub http2: SocketAddr,
    /// gRPC: every message comes back.
    pub grpc: SocketAddr,
    /// WebSocket: every message comes back.
    pub websocket: SocketAddr,
    /// Bytes without end.
    pub bulk: SocketAddr,
    /// The port of the many.
    many: u16,
}

impl Backend {
    /// Starts all of it; files go to `folder`.
    pub fn start(tools: &Tools, folder: &Path) -> Result<(Self, Vec<Running>), BenchError> {
        let backend = Self {
            plain: free()?,
            http2: free()?,
            grpc: free()?,
            websocket: free()?,
            bulk: free()?,
            many: free()?.port(),
        };
        let home = folder.join("origin");
        fs::create_dir_all(&home).map_err(BenchError::file(&home))?;
        let plain = [vec![backend.plain], backend.many()].concat();
        let command = nginx::backend(tools, &plain, backend.http2, &home)?;
        let requests = Running::start("nginx (backend)", command, home.join("nginx.log"))?;
        let own = std::env::current_exe().map_err(BenchError::file("weft-bench"))?;
        let mut command = Core::Others.pinned(&own);
        command.arg("origin");
        for (flag, address) in [
            ("--grpc", backend.grpc),
            ("--websocket", backend.websocket),
            ("--bulk", backend.bulk),
        ] {
            command.args([flag, &address.to_string()]);
        }
        let messages = Running::start("weft-bench (backend)", command, home.join("origin.log"))?;
        requests.until_listening(backend.plain)?;
        messages.until_listening(backend.bulk)?;
        Ok((backend, vec![requests, messages]))
    }

    /// Starts one more, which speaks HTTP/1.1 over TLS at `listen` and shows the certificate in
    /// `certificates`.
    pub fn secure(
        tools: &Tools,
        listen: SocketAddr,
        certificates: &Path,
        folder: &Path,
    ) -> Result<Running, BenchError> {
        let command = haproxy::backend(tools, listen, certificates, folder)?;
        let running = Running::start("haproxy (backend)", command, folder.join("backend.log"))?;
        running.until_listening(listen)?;
        Ok(running)
    }

    /// The addresses of a service of many endpoints.
    pub fn many(&self) -> Vec<SocketAddr> {
        let address = |number: u16| {
            let [high, low] = number.to_be_bytes();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 102, high, low)), self.many)
        };
        (1..=MANY).map(address).collect()
    }
}

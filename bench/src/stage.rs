//! Where measurements take place: certificates, a backend, and the peers that are set up before it.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    BenchError,
    backend::Backend,
    hop::{Hop, Peer},
    peers::weft::{self, Spoken, Under},
    pki::{self, Pki},
    running::{self, Core, Running, free},
    scenario::Scenario,
    tools::Tools,
};

/// What every measurement shares: a folder, certificates, a running backend.
#[derive(Debug)]
pub struct Stage {
    /// Where files go; removed at the end.
    pub folder: tempfile::TempDir,
    /// The programs.
    pub tools: Tools,
    /// The peers' certificates.
    pub pki: Pki,
    /// Where the backend listens.
    pub backend: Backend,
    origins: Vec<Running>,
}

/// A peer that is set up.
#[derive(Debug)]
pub struct Deployment {
    /// Its proxies, the one at the backend first.
    pub proxies: Vec<Running>,
    /// Where requests go.
    pub front: SocketAddr,
    /// The host they name.
    pub host: String,
    /// Where Weft's proxies tell their metrics.
    pub metrics: Vec<SocketAddr>,
    /// Where its files are.
    pub room: PathBuf,
    /// From the start of Weft's proxies until they were ready.
    pub ready: Duration,
    /// Backends of its own.
    beside: Vec<Running>,
}

impl Deployment {
    /// The proxies' ids.
    pub fn pids(&self) -> Vec<u32> {
        self.proxies.iter().map(Running::pid).collect()
    }

    /// Those of what belongs to it and is not measured.
    pub fn known(&self) -> Vec<u32> {
        self.beside.iter().map(Running::pid).collect()
    }

    /// An error about it, with what the proxy nearest to the client says.
    pub fn error(&self, reason: impl Into<String>) -> BenchError {
        match self.proxies.last() {
            Some(proxy) => proxy.error(reason),
            None => BenchError::Manifest(reason.into()),
        }
    }

    /// Ends the proxies; the nearest to the client first.
    pub fn stop(&mut self) {
        for proxy in self.proxies.iter_mut().rev() {
            proxy.stop(Duration::from_secs(20));
        }
    }
}

impl Stage {
    /// Makes certificates and starts the backend. This process leaves the measured core.
    pub fn set(tools: Tools) -> Result<Self, BenchError> {
        running::leave_the_measured_core();
        let folder = tempfile::Builder::new()
            .prefix("weft-bench-")
            .tempdir()
            .map_err(BenchError::file(std::env::temp_dir()))?;
        let pki = pki::make(folder.path())?;
        let (backend, origins) = Backend::start(&tools, folder.path())?;
        Ok(Self {
            folder,
            tools,
            pki,
            backend,
            origins,
        })
    }

    /// Processes that belong to the benchmark and are not measured.
    pub fn known(&self) -> Vec<u32> {
        self.origins.iter().map(Running::pid).collect()
    }

    /// An empty folder of that name.
    pub fn room(&self, name: &str) -> Result<PathBuf, BenchError> {
        let room = self.folder.path().join(name);
        if room.exists() {
            fs::remove_dir_all(&room).map_err(BenchError::file(&room))?;
        }
        fs::create_dir_all(&room).map_err(BenchError::file(&room))?;
        Ok(room)
    }

    /// Sets `peer` up for `scenario` and waits until it is ready. `under`: what its proxies run
    /// under.
    pub fn deploy(
        &self,
        scenario: Scenario,
        peer: Peer,
        core: Core,
        under: &Under,
    ) -> Result<Deployment, BenchError> {
        let room = self.room(&format!("{}-{}", scenario.name(), peer.name()))?;
        let mut deployment = Deployment {
            proxies: Vec::new(),
            front: self.backend.plain,
            host: pki::NAME.to_owned(),
            metrics: Vec::new(),
            room,
            ready: Duration::ZERO,
            beside: Vec::new(),
        };
        if peer.is_weft() {
            self.deploy_weft(scenario, peer, core, under, &mut deployment)?;
        } else if peer != Peer::Direct {
            self.deploy_hops(scenario, peer, core, under, &mut deployment)?;
        }
        Ok(deployment)
    }

    fn deploy_weft(
        &self,
        scenario: Scenario,
        peer: Peer,
        core: Core,
        under: &Under,
        deployment: &mut Deployment,
    ) -> Result<(), BenchError> {
        let (room, tools) = (&deployment.room, &self.tools);
        let (sides, spoken) = (scenario.sides(peer), scenario.spoken());
        let front = &self.pki.front;
        let prepared = weft::prepare(tools, &self.backend, sides, spoken, room, core, front)?;
        if spoken == Spoken::Tls {
            // The pod's own application ends the mesh's TLS, as the pod's proxy would.
            let certificates = weft::identity(room, "server");
            pki::join(&certificates)?;
            let running = Backend::secure(tools, prepared.pod, &certificates, room)?;
            deployment.beside.push(running);
        }
        let metrics = prepared.proxies.iter().map(|(_, _, metrics)| *metrics);
        deployment.metrics = metrics.collect();
        (deployment.front, deployment.host) = (prepared.front, prepared.host.clone());
        let began = Instant::now();
        deployment.proxies = prepared.start(room, under)?;
        deployment.ready = began.elapsed();
        Ok(())
    }

    fn deploy_hops(
        &self,
        scenario: Scenario,
        peer: Peer,
        core: Core,
        under: &Under,
        deployment: &mut Deployment,
    ) -> Result<(), BenchError> {
        let mut to = match scenario.spoken() {
            Spoken::Http1 | Spoken::Tcp => vec![self.backend.plain],
            Spoken::Http2 => vec![self.backend.http2],
            Spoken::Grpc => vec![self.backend.grpc],
            Spoken::WebSocket => vec![self.backend.websocket],
            Spoken::Bulk => vec![self.backend.bulk],
            Spoken::Many => self.backend.many(),
            Spoken::Tls => {
                let (room, listen) = (&deployment.room, free()?);
                let running = Backend::secure(&self.tools, listen, &self.pki.front, room)?;
                deployment.beside.push(running);
                vec![listen]
            }
        };
        let (server, client) = (Some(&self.pki.server), Some(&self.pki.client));
        // The certificates of each hop, accepting and connecting; the one at the backend first.
        let hops = match scenario {
            _ if scenario.is_pair() => vec![(server, None), (None, client)],
            Scenario::Termination => vec![(server, None)],
            Scenario::TlsFront => vec![(Some(&self.pki.front), Some(&self.pki.anonymous))],
            _ => vec![(None, None)],
        };
        for (number, (accept, connect)) in hops.into_iter().enumerate() {
            let hop = Hop {
                kind: scenario.kind(),
                listen: free()?,
                to,
                accept: accept.cloned(),
                connect: connect.cloned(),
            };
            let name = format!("{}-{number}", peer.name());
            let folder = self.room(&format!("{}-{name}", scenario.name()))?;
            let command: Command = peer.command(&self.tools, &hop, &folder, core)?;
            let running = Running::start(&name, under(&name, command), folder.join("log"))?;
            running.until_listening(hop.listen)?;
            deployment.front = hop.listen;
            deployment.proxies.push(running);
            to = vec![hop.listen];
        }
        Ok(())
    }
}

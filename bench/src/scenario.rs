//! What is measured: who stands between client and backend, and what is sent.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

use crate::{
    BenchError,
    hop::{Hop, Kind, Peer},
    peers::{
        nginx,
        weft::{self, Backend, Sides, Spoken, Under},
    },
    pki::{self, Pki},
    running::{Core, Running, free},
    tools::Tools,
};

/// What is measured with load.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// HTTP/1.1 in plaintext through one proxy, with routes, policies and metrics on.
    PlainHttp1,
    /// HTTP/1.1 through two proxies that speak mutual TLS.
    MtlsPairHttp1,
    /// HTTP/1.1 over TLS in front, and over TLS to the backend: one proxy.
    TlsFront,
    /// One proxy with 100 routes, 10 AuthPolicies, retries, outlier detection, metrics and
    /// access log, against the same with one route.
    Everything,
    /// The messages of plain HTTP/1.1 as bytes, one proxy.
    TcpPlain,
    /// The same as bytes over mutual TLS between two proxies.
    TcpMtls,
    /// HTTP/2 through two proxies that speak mutual TLS.
    MtlsPairHttp2,
    /// Mutual TLS terminated in front of the backend: one proxy.
    #[value(skip)]
    Termination,
}

impl Scenario {
    /// In the order of their worth.
    pub const ALL: [Self; 7] = [
        Self::PlainHttp1,
        Self::MtlsPairHttp1,
        Self::TlsFront,
        Self::Everything,
        Self::TcpPlain,
        Self::TcpMtls,
        Self::MtlsPairHttp2,
    ];

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlainHttp1 => "plain-http1",
            Self::MtlsPairHttp1 => "mtls-pair-http1",
            Self::TlsFront => "tls-front",
            Self::Everything => "everything",
            Self::TcpPlain => "tcp-plain",
            Self::TcpMtls => "tcp-mtls",
            Self::MtlsPairHttp2 => "mtls-pair-http2",
            Self::Termination => "termination",
        }
    }

    /// For a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::PlainHttp1 => "Plain HTTP/1.1, one proxy",
            Self::MtlsPairHttp1 => "HTTP/1.1, a pair of proxies with mutual TLS",
            Self::TlsFront => "TLS terminated and originated, one proxy",
            Self::Everything => "Everything on, and nothing on: one proxy",
            Self::TcpPlain => "TCP passthrough, one proxy",
            Self::TcpMtls => "TCP over mutual TLS, a pair of proxies",
            Self::MtlsPairHttp2 => "HTTP/2, a pair of proxies with mutual TLS",
            Self::Termination => "Mutual TLS terminated",
        }
    }

    /// What happens, in a sentence or two.
    pub fn about(self) -> &'static str {
        match self {
            Self::PlainHttp1 => {
                "64 kept connections, GET, a body of 1 KiB. Weft routes, balances, watches for \
                 outliers (caller's side) or authorizes (callee's side), and counts; the peers \
                 forward."
            }
            Self::MtlsPairHttp1 => {
                "The same through two proxies that show each other certificates. Weft's callers \
                 are authorized by what theirs say."
            }
            Self::TlsFront => {
                "The client speaks TLS, and so does the backend. Weft's gateway is not measured here yet."
            }
            Self::Everything => {
                "A gateway with 100 routes, 10 AuthPolicies, retries, outlier detection, metrics \
                 and an access log, against one with a single route."
            }
            Self::TcpPlain => "The messages of plain HTTP/1.1, forwarded as bytes.",
            Self::TcpMtls => "The same over mutual TLS between two proxies.",
            Self::MtlsPairHttp2 => {
                "8 connections with 8 requests under way on each, HTTP/2 all the way."
            }
            Self::Termination => "One proxy that terminates mutual TLS.",
        }
    }

    /// What its section is called, and what happens in it.
    pub fn section(self) -> (&'static str, &'static str, &'static str) {
        (self.name(), self.title(), self.about())
    }

    /// Who is measured. Weft is missing where it cannot do it yet.
    pub fn peers(self) -> &'static [Peer] {
        use Peer::{Copy, Direct, Envoy, Haproxy, Hyper, Nginx, Weft, WeftInbound};
        match self {
            Self::PlainHttp1 => &[Weft, WeftInbound, Haproxy, Nginx, Envoy, Hyper],
            Self::MtlsPairHttp1 => &[Weft, Haproxy, Nginx, Envoy, Hyper, Copy, Direct],
            // Weft's gateway is not set up for this yet.
            Self::TlsFront => &[Haproxy, Nginx, Envoy, Hyper],
            // Weft with everything on and, for want of a better name, bare.
            Self::Everything => &[Weft, WeftInbound],
            Self::TcpPlain => &[Weft, Haproxy, Nginx, Envoy, Copy],
            Self::TcpMtls => &[Weft, Haproxy, Nginx, Envoy, Copy],
            Self::MtlsPairHttp2 => &[Weft, Haproxy, Envoy],
            Self::Termination => &[WeftInbound, Haproxy, Nginx, Envoy, Hyper],
        }
    }

    /// How a peer is called in this scenario.
    pub fn label(self, peer: Peer) -> &'static str {
        match (self, peer) {
            (Self::Everything, Peer::Weft) => "weft, everything on",
            (Self::Everything, _) => "weft, nothing on",
            (Self::PlainHttp1, Peer::Weft) => "weft (caller's side)",
            (Self::PlainHttp1, Peer::WeftInbound) => "weft (callee's side)",
            (Self::TcpPlain, Peer::Copy) => "tokio copy (floor)",
            (Self::TcpMtls | Self::MtlsPairHttp1, Peer::Copy) => "rustls copy (floor)",
            (Self::PlainHttp1, Peer::Hyper) => "hyper (floor)",
            (_, Peer::Hyper) => "hyper + rustls (floor)",
            (_, Peer::Direct) => "no proxy",
            (_, peer) => peer.name(),
        }
    }

    /// Whether clients speak TLS.
    pub fn tls_front(self) -> bool {
        self == Self::TlsFront
    }

    /// Whether clients speak HTTP/2.
    pub fn http2(self) -> bool {
        self == Self::MtlsPairHttp2
    }

    fn kind(self) -> Kind {
        match self {
            Self::TcpPlain | Self::TcpMtls => Kind::Tcp,
            Self::MtlsPairHttp2 => Kind::Http2,
            _ => Kind::Http1,
        }
    }

    fn spoken(self) -> Spoken {
        match self.kind() {
            Kind::Tcp => Spoken::Tcp,
            Kind::Http2 => Spoken::Http2,
            Kind::Http1 => Spoken::Http1,
        }
    }

    fn sides(self, peer: Peer) -> Sides {
        match (self, peer) {
            (Self::Everything, Peer::Weft) => Sides::FullGateway,
            (Self::Everything, _) => Sides::BareGateway,
            (Self::MtlsPairHttp1 | Self::TcpMtls | Self::MtlsPairHttp2, _) => Sides::Pair,
            (_, Peer::WeftInbound) => Sides::Inbound,
            _ => Sides::Outbound,
        }
    }

    /// The hops of a peer that is not Weft, the one at the backend first.
    fn hops(self, stage: &Stage) -> Result<Vec<Hop>, BenchError> {
        let (kind, front) = (self.kind(), free()?);
        let backend = if self.http2() {
            stage.backend.http2
        } else {
            stage.backend.plain
        };
        let hop = |listen, to| Hop {
            kind,
            listen,
            to,
            accept: None,
            connect: None,
        };
        let pki = &stage.pki;
        Ok(match self {
            Self::PlainHttp1 | Self::Everything | Self::TcpPlain => vec![hop(front, backend)],
            Self::Termination => vec![Hop {
                accept: Some(pki.server.clone()),
                ..hop(front, backend)
            }],
            Self::TlsFront => vec![Hop {
                accept: Some(pki.front.clone()),
                connect: Some(pki.anonymous.clone()),
                ..hop(front, stage.backend.tls)
            }],
            Self::MtlsPairHttp1 | Self::TcpMtls | Self::MtlsPairHttp2 => {
                let between = free()?;
                vec![
                    Hop {
                        accept: Some(pki.server.clone()),
                        ..hop(between, backend)
                    },
                    Hop {
                        connect: Some(pki.client.clone()),
                        ..hop(front, between)
                    },
                ]
            }
        })
    }
}

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
    origin: Running,
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
}

impl Deployment {
    /// The proxies' ids.
    pub fn pids(&self) -> Vec<u32> {
        self.proxies.iter().map(Running::pid).collect()
    }

    /// Ends the proxies; the nearest to the client first.
    pub fn stop(&mut self) {
        for proxy in self.proxies.iter_mut().rev() {
            proxy.stop(std::time::Duration::from_secs(20));
        }
    }
}

impl Stage {
    /// Makes certificates and starts the backend.
    pub fn set(tools: Tools) -> Result<Self, BenchError> {
        let folder = tempfile::Builder::new()
            .prefix("weft-bench-")
            .tempdir()
            .map_err(BenchError::file(std::env::temp_dir()))?;
        let pki = pki::make(folder.path())?;
        let backend = Backend {
            plain: free()?,
            http2: free()?,
            tls: free()?,
        };
        let home = folder.path().join("origin");
        fs::create_dir_all(&home).map_err(BenchError::file(&home))?;
        let Backend { plain, http2, tls } = backend;
        let command = nginx::backend(&tools, plain, http2, tls, &pki.front, &home)?;
        let origin = Running::start("nginx (backend)", command, home.join("nginx.log"))?;
        origin.until_listening(plain)?;
        Ok(Self {
            folder,
            tools,
            pki,
            backend,
            origin,
        })
    }

    /// Processes that belong to the benchmark and are not measured.
    pub fn known(&self) -> Vec<u32> {
        vec![self.origin.pid()]
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

    /// Sets `peer` up for `scenario` and waits until it is ready.
    pub fn deploy(
        &self,
        scenario: Scenario,
        peer: Peer,
        core: Core,
        under: &Under,
    ) -> Result<Deployment, BenchError> {
        let room = self.room(&format!("{}-{}", scenario.name(), peer.name()))?;
        if matches!(peer, Peer::Weft | Peer::WeftInbound) {
            let (sides, spoken) = (scenario.sides(peer), scenario.spoken());
            let prepared = weft::prepare(&self.tools, self.backend, sides, spoken, &room, core)?;
            let (front, host) = (prepared.front, prepared.host.clone());
            let metrics = prepared.proxies.iter().map(|(_, _, metrics)| *metrics);
            return Ok(Deployment {
                metrics: metrics.collect(),
                proxies: prepared.start(&room, under)?,
                front,
                host,
                room,
            });
        }
        let mut proxies = Vec::new();
        let mut front = self.backend.plain;
        let hops = if peer == Peer::Direct {
            Vec::new()
        } else {
            scenario.hops(self)?
        };
        for (number, hop) in hops.into_iter().enumerate() {
            let name = format!("{}-{number}", peer.name());
            let folder = self.room(&format!("{}-{name}", scenario.name()))?;
            let command: Command = peer.command(&self.tools, &hop, &folder, core)?;
            let running = Running::start(&name, under(&name, command), folder.join("log"))?;
            running.until_listening(hop.listen)?;
            front = hop.listen;
            proxies.push(running);
        }
        Ok(Deployment {
            proxies,
            front,
            host: pki::NAME.to_owned(),
            metrics: Vec::new(),
            room,
        })
    }
}

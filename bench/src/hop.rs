//! One proxy's place in a measurement, whoever it is.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    BenchError,
    peers::{envoy, floor, haproxy, nginx},
    running::Core,
    tools::Tools,
};

/// What is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/1.1.
    Http1,
    /// HTTP/1.1 that becomes something else.
    WebSocket,
    /// HTTP/2, prior knowledge in plaintext, ALPN `h2` in TLS.
    Http2,
    /// Bytes.
    Tcp,
}

/// From where to where, and in what.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What is forwarded.
    pub kind: Kind,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where it forwards to: one, or many that are balanced over.
    pub to: Vec<SocketAddr>,
    /// TLS on the listening side: a folder of certificates; with a ca.crt callers need one too.
    pub accept: Option<PathBuf>,
    /// TLS towards the other side: a folder with ca.crt and, for mutual TLS, its own.
    pub connect: Option<PathBuf>,
}

/// A proxy that people would pick, or a floor.
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
pub enum Peer {
    /// Weft; in a plain hop the caller's side.
    Weft,
    /// Weft, the side of the pod that is called.
    WeftInbound,
    /// haproxy, one thread.
    Haproxy,
    /// nginx, one worker.
    Nginx,
    /// Envoy, concurrency 1.
    Envoy,
    /// hyper (and rustls), forwarding and nothing else.
    Hyper,
    /// Bytes copied by tokio (over rustls): no HTTP at all.
    Copy,
    /// A bare Pingora proxy; left out where it could not be built.
    Pingora,
    /// No proxy.
    Direct,
}

impl Peer {
    /// As it is called in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft",
            Self::WeftInbound => "weft-inbound",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
            Self::Hyper => "hyper",
            Self::Copy => "copy",
            Self::Pingora => "pingora",
            Self::Direct => "direct",
        }
    }

    /// Whether it is Weft.
    pub fn is_weft(self) -> bool {
        matches!(self, Self::Weft | Self::WeftInbound)
    }

    /// The command of one hop of a peer that is not Weft. Files go to `folder`, which is its own.
    pub fn command(
        self,
        tools: &Tools,
        hop: &Hop,
        folder: &Path,
        core: Core,
    ) -> Result<Command, BenchError> {
        let floor = |program, kind| floor::command(tools, program, kind, hop, core);
        match self {
            Self::Haproxy => haproxy::command(tools, hop, folder, core),
            Self::Nginx => nginx::command(tools, hop, folder, core),
            Self::Envoy => envoy::command(tools, hop, folder, core),
            Self::Hyper if hop.kind == Kind::Http2 => floor("weft-floor", "http2"),
            Self::Hyper => floor("weft-floor", "http"),
            Self::Copy => floor("weft-floor", "tcp"),
            Self::Pingora => floor("weft-pingora", "http"),
            Self::Weft | Self::WeftInbound | Self::Direct => Err(BenchError::Manifest(format!(
                "{} is no peer of one hop",
                self.name()
            ))),
        }
    }
}

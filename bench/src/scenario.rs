//! What is measured: who stands between client and backend, and what is sent.

use crate::{
    hop::{Kind, Peer},
    peers::weft::{Sides, Spoken},
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
    /// HTTP/1.1 through one proxy that balances over 1,000 endpoints.
    ManyEndpoints,
    /// HTTP/2 through two proxies that speak mutual TLS.
    MtlsPairHttp2,
    /// gRPC calls with one message each way, likewise.
    GrpcUnary,
    /// gRPC streams on which messages go back and forth, likewise.
    GrpcStream,
    /// WebSocket messages back and forth, likewise.
    WebSocket,
    /// The messages of plain HTTP/1.1 as bytes, one proxy.
    TcpPlain,
    /// The same as bytes over mutual TLS between two proxies.
    TcpMtls,
    /// As many bytes as go through one proxy.
    BulkPlain,
    /// The same over mutual TLS between two proxies.
    BulkMtls,
    /// Mutual TLS terminated in front of the backend: one proxy.
    #[value(skip)]
    Termination,
}

/// What is sent, and so what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// HTTP/1.1 requests, in TLS or not.
    Http1 {
        /// Whether clients speak TLS.
        tls: bool,
    },
    /// HTTP/2 requests.
    Http2,
    /// gRPC calls.
    GrpcUnary,
    /// Messages on gRPC streams.
    GrpcStream,
    /// WebSocket messages.
    WebSocket,
    /// MiB from the backend.
    Bytes,
}

impl Load {
    /// What is counted.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Http1 { .. } | Self::Http2 => "requests",
            Self::GrpcUnary => "calls",
            Self::GrpcStream | Self::WebSocket => "messages",
            Self::Bytes => "MiB",
        }
    }
}

impl Scenario {
    /// In the order of their worth.
    pub const ALL: [Self; 13] = [
        Self::PlainHttp1,
        Self::MtlsPairHttp1,
        Self::TlsFront,
        Self::Everything,
        Self::ManyEndpoints,
        Self::MtlsPairHttp2,
        Self::GrpcUnary,
        Self::GrpcStream,
        Self::WebSocket,
        Self::TcpPlain,
        Self::TcpMtls,
        Self::BulkPlain,
        Self::BulkMtls,
    ];

    /// As it is called on the command line, its heading, and what happens in it.
    pub fn section(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::PlainHttp1 => (
                "plain-http1",
                "Plain HTTP/1.1, one proxy",
                "64 kept connections, GET, a body of 1 KiB. Weft routes, balances, watches for \
                 outliers (caller's side) or authorizes (callee's side), and counts; the peers \
                 forward.",
            ),
            Self::MtlsPairHttp1 => (
                "mtls-pair-http1",
                "HTTP/1.1, a pair of proxies with mutual TLS",
                "The same through two proxies that show each other certificates. Weft's callers \
                 are authorized by what theirs say.",
            ),
            Self::TlsFront => (
                "tls-front",
                "TLS terminated and originated, one proxy",
                "The client speaks TLS, and so does the backend (haproxy here). Weft is a gateway \
                 that calls a pod by mutual TLS; the peers check the backend's certificate.",
            ),
            Self::Everything => (
                "everything",
                "Everything on, and nothing on: one proxy",
                "A gateway with 100 routes, 10 AuthPolicies, retries, outlier detection, metrics \
                 and an access log, against one with a single route.",
            ),
            Self::ManyEndpoints => (
                "many-endpoints",
                "1,000 endpoints, one proxy",
                "Plain HTTP/1.1 to a service of 1,000 endpoints, each with its own address. Every \
                 proxy sends a request to an endpoint with few under way, as it does that by \
                 default or is told to.",
            ),
            Self::MtlsPairHttp2 => (
                "mtls-pair-http2",
                "HTTP/2, a pair of proxies with mutual TLS",
                "8 connections with 8 requests under way on each, HTTP/2 all the way.",
            ),
            Self::GrpcUnary => (
                "grpc-unary",
                "gRPC calls, a pair of proxies with mutual TLS",
                "The same with a message of 128 bytes each way and the status in the trailers.",
            ),
            Self::GrpcStream => (
                "grpc-stream",
                "gRPC streams, a pair of proxies with mutual TLS",
                "8 connections with 8 streams each; on every stream a message of 128 bytes goes \
                 there and comes back, then the next one. A message counts once it is back.",
            ),
            Self::WebSocket => (
                "web-socket",
                "WebSocket messages, a pair of proxies with mutual TLS",
                "64 WebSockets; on each a message of 128 bytes goes there and comes back, then the \
                 next one. A message counts once it is back.",
            ),
            Self::TcpPlain => (
                "tcp-plain",
                "TCP passthrough, one proxy",
                "The messages of plain HTTP/1.1, forwarded as bytes.",
            ),
            Self::TcpMtls => (
                "tcp-mtls",
                "TCP over mutual TLS, a pair of proxies",
                "The same over mutual TLS between two proxies.",
            ),
            Self::BulkPlain => (
                "bulk-plain",
                "TCP in bulk, one proxy",
                "8 connections on which the backend sends as much as it can.",
            ),
            Self::BulkMtls => (
                "bulk-mtls",
                "TCP in bulk over mutual TLS, a pair of proxies",
                "The same over mutual TLS between two proxies.",
            ),
            Self::Termination => (
                "termination",
                "Mutual TLS terminated",
                "One proxy that terminates mutual TLS.",
            ),
        }
    }

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        self.section().0
    }

    /// Who is measured.
    pub fn peers(self) -> &'static [Peer] {
        use Peer::{Copy, Direct, Envoy, Haproxy, Hyper, Nginx, Pingora, Weft, WeftInbound};
        match self {
            Self::PlainHttp1 => &[Weft, WeftInbound, Haproxy, Nginx, Envoy, Hyper, Pingora],
            Self::MtlsPairHttp1 => &[Weft, Haproxy, Nginx, Envoy, Hyper, Copy, Direct],
            Self::TlsFront => &[Weft, Haproxy, Nginx, Envoy, Hyper],
            // Weft with everything on and, for want of a better name, bare.
            Self::Everything => &[Weft, WeftInbound],
            Self::ManyEndpoints => &[Weft, Haproxy, Nginx, Envoy],
            // nginx speaks no HTTP/2 to a backend.
            Self::MtlsPairHttp2 | Self::GrpcUnary | Self::GrpcStream => {
                &[Weft, Haproxy, Envoy, Hyper]
            }
            Self::WebSocket | Self::TcpPlain | Self::TcpMtls | Self::BulkPlain | Self::BulkMtls => {
                &[Weft, Haproxy, Nginx, Envoy, Copy]
            }
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
            (Self::TcpPlain | Self::BulkPlain, Peer::Copy) => "tokio copy (floor)",
            (_, Peer::Copy) => "rustls copy (floor)",
            (Self::PlainHttp1, Peer::Hyper) => "hyper (floor)",
            (_, Peer::Hyper) => "hyper + rustls (floor)",
            (_, Peer::Pingora) => "pingora (floor)",
            (_, Peer::Direct) => "no proxy",
            (_, peer) => peer.name(),
        }
    }

    /// What is sent.
    pub fn load(self) -> Load {
        match self {
            Self::MtlsPairHttp2 => Load::Http2,
            Self::GrpcUnary => Load::GrpcUnary,
            Self::GrpcStream => Load::GrpcStream,
            Self::WebSocket => Load::WebSocket,
            Self::BulkPlain | Self::BulkMtls => Load::Bytes,
            _ => Load::Http1 {
                tls: self == Self::TlsFront,
            },
        }
    }

    /// Whether latency at a steady rate is measured too: where something must be shown of it.
    pub fn is_paced(self) -> bool {
        matches!(self, Self::PlainHttp1 | Self::MtlsPairHttp1)
    }

    /// Whether two proxies speak mutual TLS.
    pub(crate) fn is_pair(self) -> bool {
        use Scenario::{
            BulkMtls, GrpcStream, GrpcUnary, MtlsPairHttp1, MtlsPairHttp2, TcpMtls, WebSocket,
        };
        matches!(
            self,
            MtlsPairHttp1 | MtlsPairHttp2 | GrpcUnary | GrpcStream | WebSocket | TcpMtls | BulkMtls
        )
    }

    /// What the peers forward.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::TcpPlain | Self::TcpMtls | Self::BulkPlain | Self::BulkMtls => Kind::Tcp,
            Self::MtlsPairHttp2 | Self::GrpcUnary | Self::GrpcStream => Kind::Http2,
            Self::WebSocket => Kind::WebSocket,
            _ => Kind::Http1,
        }
    }

    /// Which service is called.
    pub(crate) fn spoken(self) -> Spoken {
        match self {
            Self::TcpPlain | Self::TcpMtls => Spoken::Tcp,
            Self::BulkPlain | Self::BulkMtls => Spoken::Bulk,
            Self::MtlsPairHttp2 => Spoken::Http2,
            Self::GrpcUnary | Self::GrpcStream => Spoken::Grpc,
            Self::WebSocket => Spoken::WebSocket,
            Self::TlsFront => Spoken::Tls,
            Self::ManyEndpoints => Spoken::Many,
            _ => Spoken::Http1,
        }
    }

    /// Which of Weft's proxies there are.
    pub(crate) fn sides(self, peer: Peer) -> Sides {
        match (self, peer) {
            (Self::Everything, Peer::Weft) => Sides::FullGateway,
            (Self::Everything, _) => Sides::BareGateway,
            (Self::TlsFront, _) => Sides::TlsGateway,
            (_, Peer::WeftInbound) => Sides::Inbound,
            _ if self.is_pair() => Sides::Pair,
            _ => Sides::Outbound,
        }
    }
}

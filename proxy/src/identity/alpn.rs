//! Mesh TLS is told from the application's own TLS by its ALPN protocol.

/// What is spoken inside mesh TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeshAlpn {
    /// HTTP/2.
    H2,
    /// HTTP/1.1.
    Http1,
    /// Opaque bytes, after one byte of the callee's proxy that says whether its application took
    /// the connection.
    TcpConnect,
    /// Opaque bytes at once: what proxies before [`Self::TcpConnect`] speak.
    Tcp,
}

impl MeshAlpn {
    /// Every one, most preferred first.
    pub const ALL: [Self; 4] = [Self::H2, Self::Http1, Self::TcpConnect, Self::Tcp];

    /// The protocol id on the wire.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::H2 => b"weft/h2",
            Self::Http1 => b"weft/http1",
            Self::TcpConnect => b"weft/tcp-connect",
            Self::Tcp => b"weft/tcp",
        }
    }

    /// Itself and what serves as well, most preferred first: what a client offers.
    pub fn offered(self) -> &'static [Self] {
        match self {
            Self::H2 => &[Self::H2],
            Self::Http1 => &[Self::Http1],
            Self::TcpConnect => &[Self::TcpConnect, Self::Tcp],
            Self::Tcp => &[Self::Tcp],
        }
    }

    /// The protocol of a wire id, if it is one of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|alpn| alpn.as_bytes() == bytes)
    }
}

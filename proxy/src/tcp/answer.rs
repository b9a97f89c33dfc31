//! What the callee's proxy says before the first byte of a TCP connection (ALPN
//! `weft/tcp-connect`). Until then the caller's proxy sends nothing: whatever failed, another
//! endpoint may be asked. A pod that stops closes its ports before its callers hear of it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Whether the application has the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The bytes that follow are the application's.
    Taken,
    /// The application does not take it; another may.
    NotTaken,
    /// A policy refuses it.
    Denied,
}

impl Answer {
    fn as_byte(self) -> u8 {
        match self {
            Self::Taken => 1,
            Self::NotTaken => 2,
            Self::Denied => 3,
        }
    }

    /// Says so to the caller's proxy.
    pub async fn write(self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_u8(self.as_byte()).await?;
        stream.flush().await?;
        match self {
            Self::Taken => Ok(()),
            Self::NotTaken | Self::Denied => stream.shutdown().await,
        }
    }

    /// What the callee's proxy says.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let byte = stream.read_u8().await?;
        [Self::Taken, Self::NotTaken, Self::Denied]
            .into_iter()
            .find(|answer| answer.as_byte() == byte)
            .ok_or_else(|| {
                let error = format!("its proxy answered {byte}, which means nothing");
                io::Error::new(io::ErrorKind::InvalidData, error)
            })
    }
}

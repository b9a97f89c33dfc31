//! The backend of what neither nginx nor haproxy answers: gRPC, WebSocket, and bytes without end.
//! On one thread, as `weft-bench origin`, a process of its own beside the measurement.

mod grpc;

use std::{io, net::SocketAddr};

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};

/// What is written at once.
const CHUNK: usize = 64 * 1024;

/// Where it listens.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// gRPC with prior knowledge: every message comes back.
    #[arg(long)]
    pub grpc: SocketAddr,
    /// WebSocket: every message comes back.
    #[arg(long)]
    pub websocket: SocketAddr,
    /// Bytes without end, to who has sent one.
    #[arg(long)]
    pub bulk: SocketAddr,
}

/// Serves until the process is ended.
pub fn serve(options: Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async move {
        // The last to listen is what the start is waited for by.
        let grpc = TcpListener::bind(options.grpc).await?;
        let websocket = TcpListener::bind(options.websocket).await?;
        let bulk = TcpListener::bind(options.bulk).await?;
        loop {
            tokio::select! {
                accepted = grpc.accept() => { spawn_local(grpc::serve(ready(accepted?)?)); }
                accepted = websocket.accept() => { spawn_local(echo(ready(accepted?)?)); }
                accepted = bulk.accept() => { spawn_local(pour(ready(accepted?)?)); }
            }
        }
    })
}

fn ready((stream, _): (TcpStream, SocketAddr)) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends every message back. A connection that fails costs the client its round; it counts there.
async fn echo(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Waits for a byte, and sends until the other side is gone.
async fn pour(mut stream: TcpStream) {
    let chunk = vec![0; CHUNK];
    if stream.read_u8().await.is_ok() {
        while stream.write_all(&chunk).await.is_ok() {}
    }
}

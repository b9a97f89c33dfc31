//! What a proxy costs at least: the bare libraries, forwarding and nothing else. No route, no
//! policy, no metric, no time-out: a floor to measure against, never something to deploy.

mod http;
mod http2;
mod tcp;
mod tls;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, rc::Rc};

use clap::{Parser, ValueEnum};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::either::Either;

/// Forwards what arrives at one address to another, on one thread.
#[derive(Parser)]
#[command(name = "weft-floor", version)]
struct Arguments {
    /// What is forwarded.
    kind: Kind,
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Where it forwards to.
    #[arg(long)]
    to: SocketAddr,
    /// TLS on the listening side: a folder of tls.crt, tls.key and, for mutual TLS, ca.crt.
    #[arg(long)]
    accept: Option<PathBuf>,
    /// TLS towards the other side: a folder of ca.crt and, for mutual TLS, tls.crt and tls.key.
    #[arg(long)]
    connect: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// HTTP/1.1 on hyper, with kept connections on both sides.
    Http,
    /// HTTP/2 on hyper, one connection to the other side.
    Http2,
    /// Bytes.
    Tcp,
}

/// Why there is no floor.
#[derive(Debug, thiserror::Error)]
enum FloorError {
    #[error("{0}: {1}")]
    File(PathBuf, String),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{0}: {1}")]
    Socket(SocketAddr, std::io::Error),
    #[error("the runtime: {0}")]
    Runtime(std::io::Error),
}

/// A connection, in plaintext or not.
type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// Both sides' ends.
struct Ends {
    to: SocketAddr,
    accept: Option<TlsAcceptor>,
    connect: Option<TlsConnector>,
}

impl Ends {
    async fn accepted(&self, stream: TcpStream) -> std::io::Result<Stream> {
        stream.set_nodelay(true)?;
        Ok(match &self.accept {
            None => Either::Left(stream),
            Some(tls) => Either::Right(tls.accept(stream).await?.into()),
        })
    }

    async fn connected(&self) -> std::io::Result<Stream> {
        let stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.connect {
            None => Either::Left(stream),
            Some(tls) => Either::Right(tls.connect(tls::server_name(), stream).await?.into()),
        })
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft-floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), FloorError> {
    let ends = Ends {
        to: arguments.to,
        accept: arguments.accept.as_deref().map(tls::acceptor).transpose()?,
        connect: arguments
            .connect
            .as_deref()
            .map(tls::connector)
            .transpose()?,
    };
    let kind = arguments.kind;
    let listen = arguments.listen;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(FloorError::Runtime)?;
    LocalSet::new().block_on(&runtime, async move {
        let failed = |error| FloorError::Socket(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(FloorError::Runtime)?;
        let ends = Rc::new(ends);
        let pool = Rc::new(http::Pool::new(ends.clone()));
        let shared = Rc::new(http2::Shared::new(ends.clone()));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = ended.recv() => return Ok(()),
            };
            let Ok((stream, _)) = accepted else { continue };
            let (ends, pool, shared) = (ends.clone(), pool.clone(), shared.clone());
            spawn_local(async move {
                // A connection that fails costs a benchmark its round; it is counted there.
                let Ok(stream) = ends.accepted(stream).await else {
                    return;
                };
                match kind {
                    Kind::Http => http::serve(stream, pool).await,
                    Kind::Http2 => http2::serve(stream, shared).await,
                    Kind::Tcp => tcp::serve(stream, &ends).await,
                }
            });
        }
    })
}

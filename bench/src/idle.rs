//! What thousands of connections cost that say nothing after their first request.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    BenchError,
    figures::Figure,
    footprint::settled_kib,
    running::Core,
    scenario::{Scenario, Stage},
};

/// What this section is called, and what happens in it.
pub const SECTION: (&str, &str, &str) = (
    "idle-connections",
    "5,000 idle connections, one proxy",
    "Memory of a proxy before the first request and with 5,000 client connections that were used \
     once and are kept.",
);

/// Measures each peer in turn.
pub fn measure(stage: &Stage, connections: usize) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for peer in Scenario::PlainHttp1.peers() {
        let deployment = stage.deploy(Scenario::PlainHttp1, *peer, Core::Any, &|_, command| {
            command
        })?;
        let resident = || deployment.pids().into_iter().map(settled_kib).sum();
        let idle_kib: u64 = resident();
        let mut open = Vec::new();
        for number in 0..connections {
            let stream = used(deployment.front, &deployment.host).map_err(|error| {
                let reason = format!("connection {number}: {error}");
                match deployment.proxies.last() {
                    Some(proxy) => proxy.error(reason),
                    None => BenchError::Manifest(reason),
                }
            })?;
            open.push(stream);
        }
        let load_kib = resident();
        eprintln!(
            "{}: {connections} connections, {:.1} KiB each",
            peer.name(),
            load_kib.saturating_sub(idle_kib) as f64 / connections.max(1) as f64
        );
        figures.push(Figure {
            peer: Scenario::PlainHttp1.label(*peer).to_owned(),
            idle_kib,
            load_kib,
            rounds: 1,
            ..Figure::default()
        });
    }
    Ok(figures)
}

fn used(address: SocketAddr, host: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    let mut buffer = [0; 4096];
    let mut seen = 0;
    // A head and a body of 1 KiB.
    while seen < crate::peers::nginx::BODY {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => seen += read,
        }
    }
    Ok(stream)
}

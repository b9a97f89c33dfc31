//! What thousands of connections cost that say nothing after their first request.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use crate::{
    BenchError,
    figures::Figure,
    footprint::rested_kib,
    hop::Peer,
    running::Core,
    scenario::Scenario,
    stage::{Deployment, Stage},
    statistics::Summary,
};

/// What this section is called, and what happens in it.
pub const SECTION: (&str, &str, &str) = (
    "idle-connections",
    "5,000 idle connections, one proxy",
    "Memory of a proxy before the first request and with 5,000 client connections that were used \
     once and are kept.",
);

/// Threads that open connections.
const OPENERS: usize = 16;

/// Measures each peer in turn.
pub fn measure(stage: &Stage, connections: usize) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for peer in Scenario::PlainHttp1.peers() {
        if stage.tools.lacks(*peer) {
            continue;
        }
        let deployment = stage.deploy(Scenario::PlainHttp1, *peer, Core::Any, &|_, command| {
            command
        })?;
        let resident = || rested_kib(&deployment.pids());
        let idle_kib = resident();
        let open = open(&deployment, connections)?;
        let load_kib = resident();
        eprintln!(
            "{}: {} connections, {:.1} KiB each",
            peer.name(),
            open.len(),
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

/// Opens `connections`, each of which has had one response.
fn open(deployment: &Deployment, connections: usize) -> Result<Vec<TcpStream>, BenchError> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..OPENERS)
            .map(|number| {
                let share = connections / OPENERS + usize::from(number < connections % OPENERS);
                let one = || used(deployment.front, &deployment.host);
                scope.spawn(move || (0..share).map(|_| one()).collect::<io::Result<Vec<_>>>())
            })
            .collect();
        let mut open = Vec::new();
        for thread in threads {
            let panicked = |_| Err(io::Error::other("a client's thread panicked"));
            let opened = thread.join().unwrap_or_else(panicked);
            open.extend(opened.map_err(|error| deployment.error(error.to_string()))?);
        }
        Ok(open)
    })
}

fn used(address: SocketAddr, host: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    let mut buffer = [0; 4096];
    let mut seen = 0;
    // A head and a body of 1 KiB.
    while seen < crate::peers::BODY {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => seen += read,
        }
    }
    Ok(stream)
}

/// What Weft's proxy takes before it does anything: name, value, unit.
pub fn footprint(
    stage: &Stage,
    figures: &[Figure],
    connections: usize,
) -> Result<Vec<(&'static str, f64, &'static str)>, BenchError> {
    let mut values = Vec::new();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    if let Some(weft) = figures.first() {
        values.push(("rss-idle", mib(weft.idle_kib << 10), "MiB"));
        let grown = mib(weft.load_kib.saturating_sub(weft.idle_kib) << 10);
        let thousands = connections as f64 / 1000.0;
        values.push(("rss-per-1000-connections", grown / thousands, "MiB"));
    }
    let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
    let program = stage.tools.released("weft-proxy")?;
    let length = size(&program).map_err(BenchError::file(&program))?;
    values.push(("program-size", mib(length), "MiB"));
    // `make images` may not have been run.
    if let Ok(length) = size(Path::new("target/images/weft-proxy.tar")) {
        values.push(("image-size", mib(length), "MiB"));
    }
    let mut starts = Vec::new();
    for _ in 0..5 {
        let proxy = Scenario::PlainHttp1;
        let deployment = stage.deploy(proxy, Peer::Weft, Core::Measured, &|_, command| command)?;
        starts.push(deployment.ready.as_secs_f64() * 1000.0);
    }
    values.push(("ready-ms", Summary::of(&starts).median, "ms"));
    Ok(values)
}

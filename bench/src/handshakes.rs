//! Handshakes of mutual TLS, full and resumed: a connection, one request, and the end.

mod client;

use std::{io, net::SocketAddr, sync::Arc, thread};

use rustls::ClientConfig;

use crate::{
    BenchError, cpu,
    figures::Figure,
    hop::Peer,
    path::Effort,
    peers::weft::identity,
    rounds::{Counted, summed},
    running::Core,
    scenario::Scenario,
    stage::Stage,
};

/// Handshakes of a round.
const COUNT: u32 = 1200;

/// Connections at once.
const THREADS: u32 = 8;

/// Measures full handshakes, then resumed ones.
pub fn measure(stage: &Stage, effort: &Effort) -> Result<Vec<Figure>, BenchError> {
    let mut subjects = Vec::new();
    for peer in Scenario::Termination.peers().iter().copied() {
        let deployment = stage.deploy(
            Scenario::Termination,
            peer,
            Core::Measured,
            &|_, command| command,
        )?;
        let identity = match peer {
            Peer::WeftInbound => identity(&deployment.room, "client"),
            _ => stage.pki.client.clone(),
        };
        let deployment = Arc::new(deployment);
        for resumed in [false, true] {
            let config = client::config(&identity, resumed)
                .map_err(|error| BenchError::Manifest(format!("a TLS client: {error}")))?;
            subjects.push((
                peer,
                resumed,
                deployment.clone(),
                Arc::new(config),
                Vec::new(),
            ));
        }
    }
    let count = if effort.rounds > 1 { COUNT } else { COUNT / 10 };
    for number in 0..=effort.rounds {
        for (peer, resumed, deployment, config, rounds) in &mut subjects {
            let pids = deployment.pids();
            let span = cpu::Span::begin(&pids, &stage.known());
            let failed =
                |error| deployment.error(format!("a handshake with {}: {error}", peer.name()));
            send(deployment.front, config, count).map_err(failed)?;
            let spent = span.end();
            // The first round warms.
            if number > 0 {
                let round = Counted::of(spent, u64::from(count));
                eprintln!(
                    "handshakes round {number} {}{}: {:.3} CPU-s per 10,000, others used {:.0} %",
                    peer.name(),
                    if *resumed { ", resumed" } else { "" },
                    round.cpu,
                    round.foreign * 100.0
                );
                rounds.push(round);
            }
        }
    }
    let figures = subjects.iter().map(|(peer, resumed, _, _, rounds)| {
        let name = match peer {
            Peer::WeftInbound => "weft",
            Peer::Hyper => "hyper + rustls (floor)",
            peer => peer.name(),
        };
        let kind = if *resumed { "resumed" } else { "full" };
        summed(format!("{name}, {kind}"), rounds)
    });
    Ok(figures.collect())
}

fn send(address: SocketAddr, config: &Arc<ClientConfig>, count: u32) -> io::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    (0..count / THREADS).try_for_each(|_| client::one(address, config.clone()))
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let panicked = |_| io::Error::other("a client's thread panicked");
            thread.join().map_err(panicked)?
        })
    })
}

/// What this section is called, and what happens in it.
pub const SECTION: (&str, &str, &str) = (
    "handshakes",
    "Handshakes of mutual TLS",
    "A connection, a handshake, one request, the end: CPU-seconds of the terminating proxy for \
     10,000 of them. `resumed`: the client offers the ticket that it was given.",
);

/// Full handshakes of Weft against those of a peer.
pub fn ratio(figures: &[Figure], peer: &str) -> Option<f64> {
    let of = |name: &str| {
        let name = format!("{name}, full");
        figures
            .iter()
            .find(|figure| figure.peer == name)
            .map(|figure| figure.cpu.median)
    };
    Some(of("weft")? / of(peer)?)
}

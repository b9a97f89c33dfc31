//! Exactly so many requests, over a fixed number of connections that each wait for their response.

use std::{io, net::SocketAddr, thread};

use super::exchange::Exchange;

/// Sends `requests` over `connections`; an error if any of them had no good response.
pub fn send(address: SocketAddr, host: &str, connections: u32, requests: u32) -> io::Result<()> {
    let connections = connections.max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                let share = requests / connections + u32::from(number < requests % connections);
                scope.spawn(move || {
                    let mut open = Exchange::open(address, host)?;
                    (0..share).try_for_each(|_| open.get())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let panicked = |_| io::Error::other("a client's thread panicked");
            thread.join().map_err(panicked)?
        })
    })
}

//! Messages that go there and come back, each on a connection or stream that sends the next one
//! then.

use std::time::{Duration, Instant};

use super::Saturated;

/// Bytes of a message.
pub(crate) const MESSAGE: usize = 128;

/// How many at once, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Connections.
    pub connections: u32,
    /// Streams on each, where a connection has any.
    pub streams: u32,
    /// How long.
    pub time: Duration,
}

/// What is counted while it goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    began: Instant,
    end: Instant,
    seen: Saturated,
}

impl Count {
    pub(super) fn begin(time: Duration) -> Self {
        let began = Instant::now();
        Self {
            began,
            end: began + time,
            seen: Saturated::default(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    pub(super) fn end(&self) -> Instant {
        self.end
    }

    /// Takes in what one connection or stream counted.
    pub(super) fn add<E: std::fmt::Display>(&mut self, counted: (u64, Option<E>)) {
        let (messages, error) = counted;
        self.seen.requests += messages;
        if let Some(error) = error {
            self.seen.failed += 1;
            eprintln!("a connection or stream failed after {messages} messages: {error}");
        }
    }

    pub(super) fn seen(mut self) -> Saturated {
        self.seen.per_second = self.seen.requests as f64 / self.began.elapsed().as_secs_f64();
        self.seen
    }
}

/// Runs `talk` on this thread.
pub(super) fn on_this_thread<F: Future<Output = std::io::Result<Saturated>>>(
    talk: F,
) -> std::io::Result<Saturated> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, talk)
}

//! A part of the cluster that can be stopped from outside, as if it had crashed, and started again.
//!
//! Who wants it stopped writes a file of its name; the node, which alone can start it again with
//! its credentials, looks for that file and answers with another.

use std::{
    fmt, fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{Error, node::check, place};
use crate::control_plane::{self, process::Process, servers::log};

/// The node looks every tenth of a second.
const BOUND: Duration = Duration::from_secs(30);

/// How a part is started.
type Start = Box<dyn Fn() -> Result<Process, control_plane::Error>>;

/// The API server, or whatever else can be started again.
pub(super) struct Part {
    process: Process,
    start: Start,
    stopped: bool,
}

impl Part {
    /// Starts it.
    pub(super) fn new(start: Start) -> Result<Self, Error> {
        Ok(Self {
            process: start()?,
            start,
            stopped: false,
        })
    }

    /// The process that runs now, or ran last.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Brings it to what is wanted. What ends by itself is an error.
    pub(super) fn attend(&mut self) -> Result<(), Error> {
        let name = self.process.name();
        let wanted = !stop_file(name).exists();
        if self.stopped && wanted {
            self.process = (self.start)()?;
            self.stopped = false;
            let file = stopped_file(name);
            fs::remove_file(&file).map_err(Error::files("cannot remove", file))?;
        } else if !self.stopped && !wanted {
            self.process.kill();
            self.stopped = true;
            let file = stopped_file(name);
            fs::write(&file, "").map_err(Error::files("cannot write", file))?;
        }
        if self.stopped {
            return Ok(());
        }
        check(&self.process)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("process", &self.process)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

/// From outside: kills it, and waits until it is gone.
pub(super) async fn stop(name: &str) -> Result<(), Error> {
    let file = stop_file(name);
    fs::write(&file, "").map_err(Error::files("cannot write", file))?;
    until(name, "the end of", || stopped_file(name).exists()).await
}

/// From outside: has it started again, and waits until its process runs.
pub(super) async fn start(name: &str) -> Result<(), Error> {
    let file = stop_file(name);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::files("cannot remove", file)(error));
        }
        _ => {}
    }
    until(name, "the start of", || !stopped_file(name).exists()).await
}

async fn until(name: &str, what: &str, holds: impl Fn() -> bool) -> Result<(), Error> {
    let from = Instant::now();
    while !holds() {
        if from.elapsed() > BOUND {
            return Err(Error::Late {
                what: format!("{what} {name}"),
                after: BOUND,
                last: "the node did not answer".to_owned(),
                log: log(place::dir(), name),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn stop_file(name: &str) -> PathBuf {
    place::dir().join(format!("{name}.stop"))
}

fn stopped_file(name: &str) -> PathBuf {
    place::dir().join(format!("{name}.stopped"))
}

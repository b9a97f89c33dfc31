//! From the threads' buffers to the destination. Whoever finds its buffer empty wakes the writing
//! thread, which gathers for a moment and then writes each buffer at once: a busy proxy makes a
//! hundred writes a second, an idle one none.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, Thread},
    time::Duration,
};

use super::AccessRecord;
use crate::observe::Counter;

/// Bytes that wait of one thread; lines beyond are dropped. At 20,000 requests per second it is
/// full when nothing was written for a quarter of a second.
const MOST: usize = 2 << 20;

/// For how long lines are gathered.
const GATHER: Duration = Duration::from_millis(10);

/// A buffer that has grown beyond this is given back once it is written.
const KEPT: usize = 256 << 10;

/// Where the lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: records are not even made.
    Off,
    /// Standard output.
    #[default]
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// Lines of one thread. Contended only while they are taken away.
type Lines = Arc<Mutex<Vec<u8>>>;

/// What the threads share with the one that writes.
#[derive(Debug, Default)]
struct Shared {
    threads: Mutex<Vec<Lines>>,
    /// Who waits until everything before is written.
    flushes: Mutex<Vec<SyncSender<()>>>,
    writer: OnceLock<Thread>,
}

impl Shared {
    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake();
    }
}

/// One thread's handle on the log.
#[derive(Debug)]
pub struct AccessLog {
    /// `None`: off.
    open: Option<(Arc<Shared>, Lines)>,
    dropped: Counter,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves half a line.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AccessLog {
    /// Opens the destination and starts the writing thread.
    pub fn start(destination: &Destination, dropped: Counter) -> io::Result<Self> {
        let out: Box<dyn Write + Send> = match destination {
            Destination::Off => {
                return Ok(Self {
                    open: None,
                    dropped,
                });
            }
            Destination::Stdout => Box::new(io::stdout()),
            Destination::File(path) => {
                Box::new(OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        Self::to(out, dropped)
    }

    /// As [`Self::start`], to what is open already.
    pub(super) fn to(out: Box<dyn Write + Send>, dropped: Counter) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_writer = Arc::downgrade(&shared);
        let writer = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&of_writer, out))?;
        // Set once, here.
        let _ = shared.writer.set(writer.thread().clone());
        Ok(Self {
            open: Some((shared, Lines::default())),
            dropped,
        }
        .for_thread())
    }

    /// A handle for one more thread, with a buffer of its own.
    pub fn for_thread(&self) -> Self {
        let open = self.open.as_ref().map(|(shared, _)| {
            let lines = Lines::default();
            lock(&shared.threads).push(lines.clone());
            (shared.clone(), lines)
        });
        Self {
            open,
            dropped: self.dropped.clone(),
        }
    }

    /// Whether records are wanted: lets the caller skip what only they need.
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a line; drops and counts it when too many wait.
    pub fn log(&self, record: &AccessRecord<'_>) {
        let Some((shared, lines)) = &self.open else {
            return;
        };
        let mut lines = lock(lines);
        if lines.len() >= MOST {
            return self.dropped.inc();
        }
        let is_first = lines.is_empty();
        record.write(&mut lines);
        drop(lines);
        if is_first {
            shared.wake();
        }
    }

    /// Waits until what was taken, from any thread, is written; at most a second.
    pub fn flush(&self) {
        if let Some((shared, _)) = &self.open {
            let (done, written) = sync_channel(1);
            lock(&shared.flushes).push(done);
            shared.wake();
            let _ = written.recv_timeout(Duration::from_secs(1));
        }
    }
}

/// Ends when the last handle has been dropped. Lines that cannot be written (a closed pipe, a full
/// disk) are lost: there is no better place to say so than the one that failed.
fn write_all(shared: &Weak<Shared>, mut out: impl Write) {
    let mut taken = Vec::new();
    loop {
        thread::park();
        thread::sleep(GATHER);
        let Some(shared) = shared.upgrade() else {
            return;
        };
        // Before the lines: what was taken before somebody asked is among them.
        let flushes = std::mem::take(&mut *lock(&shared.flushes));
        let threads = lock(&shared.threads).clone();
        for lines in threads {
            std::mem::swap(&mut taken, &mut *lock(&lines));
            if !taken.is_empty() {
                let _ = out.write_all(&taken);
            }
            taken.clear();
            if taken.capacity() > KEPT {
                taken = Vec::new();
            }
        }
        let _ = out.flush();
        for done in flushes {
            let _ = done.try_send(());
        }
    }
}

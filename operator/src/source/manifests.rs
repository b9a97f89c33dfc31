use std::{path::Path, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Change, Directory};

/// After an event, how long it must have been quiet before the directory is looked at.
const QUIET: Duration = Duration::from_millis(20);

/// And how long it is waited for quiet at most.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often it is looked at without an event: network file systems send none, and a burst can
/// overrun the kernel's queue.
const POLL: Duration = Duration::from_secs(2);

/// How soon after a look that saw something in between.
const SETTLE: Duration = Duration::from_millis(50);

/// A directory whose changes wake its reader.
pub struct WatchedDirectory {
    directory: Directory,
    woken: Arc<Notify>,
    /// Kept for its life only; `None` where the system has no watches left.
    _watcher: Option<RecommendedWatcher>,
}

impl WatchedDirectory {
    /// Watches everything below `root`.
    pub fn new(root: &Path) -> Self {
        let woken = Arc::new(Notify::new());
        // A Notify holds one permit: any number of events are one look.
        let wake = woken.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change; a look reads, and would wake itself for ever.
            if !matches!(&event, Ok(event) if event.kind.is_access()) {
                wake.notify_one();
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(root, RecursiveMode::Recursive)?;
            Ok(watcher)
        })
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "the directory's changes are not reported; it is looked at every {} s instead",
                POLL.as_secs()
            );
        })
        .ok();
        Self {
            directory: Directory::new(root),
            woken,
            _watcher: watcher,
        }
    }
}

/// Tells every change of a directory until `stop` is cancelled or nobody listens; the first look
/// ends with [`Change::Complete`].
pub async fn watch_directory(
    mut watched: WatchedDirectory,
    changes: mpsc::Sender<Change>,
    stop: CancellationToken,
) {
    let mut complete = false;
    loop {
        let directory = watched.directory;
        let looked = tokio::task::spawn_blocking(move || {
            let mut directory = directory;
            let look = directory.look();
            (directory, look)
        })
        .await;
        let Ok((directory, look)) = looked else {
            tracing::error!("looking at the manifests failed; changes are not seen any more");
            return;
        };
        watched.directory = directory;
        for change in look.changes {
            if changes.send(change).await.is_err() {
                return;
            }
        }
        if !complete && !look.unsettled {
            complete = true;
            if changes.send(Change::Complete).await.is_err() {
                return;
            }
        }
        let pause = if look.unsettled { SETTLE } else { POLL };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => continue,
            () = watched.woken.notified() => {}
        }
        let woken = Instant::now();
        while woken.elapsed() < PATIENCE {
            tokio::select! {
                () = watched.woken.notified() => {}
                () = sleep(QUIET) => break,
            }
        }
    }
}

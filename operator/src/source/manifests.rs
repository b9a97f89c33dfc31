use std::{path::Path, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Change, Directory, Scope, reported::Reported};

/// After the last event of a burst whose files are all closed or renamed, how long it is waited
/// for another before they are read: a checkout is one change.
const CALM: Duration = Duration::from_millis(3);

/// The same while a file may still be written to.
const QUIET: Duration = Duration::from_millis(20);

/// And how long it is waited for either at most.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often everything is looked at without an event: network file systems send none, and a
/// burst can overrun the kernel's queue.
const POLL: Duration = Duration::from_secs(2);

/// How soon after a look that saw something in between.
const SETTLE: Duration = Duration::from_millis(50);

/// A directory whose changes wake its reader.
pub struct WatchedDirectory {
    directory: Directory,
    reported: Arc<Reported>,
    /// Kept for its life only; `None` where the system has no watches left.
    _watcher: Option<RecommendedWatcher>,
}

impl WatchedDirectory {
    /// Watches everything below `root`.
    pub fn new(root: &Path) -> Self {
        // Events name absolute paths.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let reported = Arc::new(Reported::default());
        let note = Arc::clone(&reported);
        let watcher = notify::recommended_watcher(move |event| note.note(event))
            .and_then(|mut watcher| {
                watcher.watch(&root, RecursiveMode::Recursive)?;
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
            directory: Directory::new(&root),
            reported,
            _watcher: watcher,
        }
    }
}

/// A look that is asked for, and whether it saw something in between.
type Request = (Scope, oneshot::Sender<bool>);

/// Tells every change of a directory until `stop` is cancelled or nobody listens; the first look
/// ends with [`Change::Complete`].
pub async fn watch_directory(
    watched: WatchedDirectory,
    changes: mpsc::Sender<Change>,
    stop: CancellationToken,
) {
    let WatchedDirectory {
        directory,
        reported,
        _watcher,
    } = watched;
    let (requests, asked) = mpsc::channel(1);
    let told = changes.clone();
    // A thread of its own: what checks a manifest is compiled once per thread, and costs more
    // than most changes.
    let reader = std::thread::Builder::new()
        .name("manifests".to_owned())
        .spawn(move || read(directory, asked, &told));
    if let Err(error) = reader {
        tracing::error!(%error, "no thread to read the manifests with");
        return;
    }
    let mut complete = false;
    let mut scope = Scope::Everything;
    loop {
        let (answer, looked) = oneshot::channel();
        if requests.send((scope, answer)).await.is_err() {
            return;
        }
        let unsettled = tokio::select! {
            () = stop.cancelled() => return,
            looked = looked => match looked {
                Ok(unsettled) => unsettled,
                Err(_) => {
                    if !changes.is_closed() {
                        tracing::error!(
                            "looking at the manifests failed; changes are not seen any more"
                        );
                    }
                    return;
                }
            },
        };
        if !complete && !unsettled {
            complete = true;
            if changes.send(Change::Complete).await.is_err() {
                return;
            }
        }
        let pause = if unsettled { SETTLE } else { POLL };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {
                scope = if unsettled { reported.take() } else { Scope::Everything };
                continue;
            }
            () = reported.woken.notified() => {}
        }
        let woken = Instant::now();
        while woken.elapsed() < PATIENCE {
            let quiet = if reported.is_open() { QUIET } else { CALM };
            tokio::select! {
                () = reported.woken.notified() => {}
                () = sleep(quiet) => break,
            }
        }
        scope = reported.take();
    }
}

/// Looks whenever it is asked to, until nobody asks or nobody listens.
fn read(
    mut directory: Directory,
    mut asked: mpsc::Receiver<Request>,
    changes: &mpsc::Sender<Change>,
) {
    while let Some((scope, answer)) = asked.blocking_recv() {
        let mut heard = true;
        let unsettled = directory.look(scope, &mut |change| {
            heard = heard && changes.blocking_send(change).is_ok();
        });
        if !heard || answer.send(unsettled).is_err() {
            return;
        }
    }
}

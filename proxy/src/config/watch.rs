//! inotify on a directory, as a hint only: whoever uses it also polls.

use std::path::Path;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Sends on `events` whenever something in `directory` changes, until the watcher is dropped.
/// A full channel already holds the news. `None` (logged) where the system gives no watch; the
/// caller's poll then does the work.
pub(crate) fn watch_directory(
    directory: &Path,
    events: mpsc::Sender<()>,
) -> Option<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |_| {
        let _ = events.try_send(());
    })
    .and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| {
            tracing::warn!(directory = %directory.display(), %error, "no file watch; changes are found by polling");
        })
        .ok()
}

//! Takes a rotated identity into use. What does not load leaves the old one active.

use std::{path::PathBuf, time::Duration};

use super::{Identity, IdentityError, IdentityStore, load::Files};
use crate::{
    config::DirectoryWatch,
    observe::{
        Recorder,
        families::{CERT_EXPIRY, IDENTITY_RELOADS},
    },
};

/// How often the files are read without an event: inotify can miss a mount, and a comparison
/// of three small files costs nothing.
const POLL: Duration = Duration::from_secs(5);

/// Keeps an [`IdentityStore`] equal to a directory.
#[derive(Debug)]
pub struct Reloader {
    directory: PathBuf,
    namespace: String,
    service_account: String,
    store: IdentityStore,
    metrics: Recorder,
    generation: u64,
    loaded: Option<Files>,
    /// The last failure, so that a standing one is logged once.
    failure: Option<String>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files(..)")
    }
}

impl Reloader {
    /// Watches `directory` for the identity of `namespace`/`service_account`.
    pub fn new(
        directory: PathBuf,
        namespace: String,
        service_account: String,
        store: IdentityStore,
        metrics: Recorder,
    ) -> Self {
        Self {
            directory,
            namespace,
            service_account,
            store,
            metrics,
            generation: 0,
            loaded: None,
            failure: None,
        }
    }

    /// Runs for the process's life.
    pub async fn run(mut self) {
        let mut watch = DirectoryWatch::new(&self.directory);
        loop {
            self.load_once();
            tokio::select! {
                _ = watch.next() => {
                    // A kubelet swap is several events; the last one decides.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    watch.skip();
                }
                () = tokio::time::sleep(POLL) => drop(watch.renew()),
            }
        }
    }

    /// Reads the directory and takes it into use if it changed.
    pub fn load_once(&mut self) {
        match self.try_load() {
            Ok(None) => self.failure = None,
            Ok(Some(identity)) => {
                self.metrics.counter(&IDENTITY_RELOADS, &["loaded"]).inc();
                self.metrics
                    .gauge(&CERT_EXPIRY, &[])
                    .set(identity.not_after);
                tracing::info!(id = %identity.id, generation = identity.generation, not_after = identity.not_after, "identity loaded");
                self.failure = None;
                self.store.replace(identity);
            }
            Err(error) => {
                let text = error.to_string();
                if self.failure.as_ref() != Some(&text) {
                    self.metrics.counter(&IDENTITY_RELOADS, &["rejected"]).inc();
                    let kept = self.store.active().map(|identity| identity.generation);
                    tracing::error!(error = %text, kept_generation = kept, "identity not loaded");
                    self.failure = Some(text);
                }
            }
        }
    }

    fn try_load(&mut self) -> Result<Option<Identity>, IdentityError> {
        let files = Files::read(&self.directory)?;
        if self.loaded.as_ref() == Some(&files) {
            return Ok(None);
        }
        let identity = Identity::build(
            &files,
            &self.namespace,
            &self.service_account,
            self.generation + 1,
        )?;
        self.generation += 1;
        self.loaded = Some(files);
        Ok(Some(identity))
    }
}

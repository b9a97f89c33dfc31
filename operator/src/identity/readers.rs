use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::{IdentityStore, Wanted};
use crate::backoff;

/// Which namespaces' proxies may read the config documents: those whose accounts have an identity.
/// The documents hold no secret, but they are a map of everything that runs in the mesh, which
/// concerns nobody outside.
#[derive(Debug)]
pub(super) struct Readers {
    /// Who was admitted last, with success.
    admitted: Option<BTreeSet<String>>,
    due: Instant,
    failures: u32,
}

impl Readers {
    pub(super) fn new() -> Self {
        Self {
            admitted: None,
            due: Instant::now(),
            failures: 0,
        }
    }

    /// When they are looked at again, whatever happens.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Another may have changed them.
    pub(super) fn doubt(&mut self) {
        self.admitted = None;
        self.due = Instant::now();
    }

    /// Admits the namespaces of the accounts that are wanted, where that is not so already. Called
    /// before identities are issued, so that a pod's proxy may read when the pod gets its
    /// identity and starts; a failure holds no identity up.
    pub(super) async fn keep<S: IdentityStore>(
        &mut self,
        store: &S,
        wanted: &Wanted,
        recheck: Duration,
    ) {
        let Some(wanted) = wanted else {
            return;
        };
        let namespaces: BTreeSet<String> = wanted
            .keys()
            .map(|account| account.namespace.clone())
            .collect();
        let now = Instant::now();
        let changed = self.admitted.as_ref() != Some(&namespaces);
        // A failure waits for its time, also where the namespaces have changed meanwhile.
        if now < self.due && (!changed || self.failures > 0) {
            return;
        }
        match store.admit(&namespaces).await {
            Ok(()) => {
                self.failures = 0;
                self.due = now + recheck;
                if changed {
                    tracing::info!(namespaces = namespaces.len(), "admitted readers");
                }
                self.admitted = Some(namespaces);
            }
            Err(error) => {
                self.failures += 1;
                self.due = now + backoff::after(self.failures);
                tracing::error!(%error, "proxies of new namespaces cannot read their documents");
            }
        }
    }
}

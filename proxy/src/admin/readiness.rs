//! Whether traffic may come.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::drain::Drain;

/// Ready once the listeners stand; no longer once the drain has begun. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    listening: Arc<AtomicBool>,
    drain: Drain,
}

impl Readiness {
    /// Not ready yet.
    pub fn new(drain: Drain) -> Self {
        Self {
            listening: Arc::default(),
            drain,
        }
    }

    /// The listeners stand.
    pub fn set_listening(&self) {
        self.listening.store(true, Ordering::Release);
    }

    /// Whether traffic may come, and if not, why.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.drain.is_draining() {
            return Err("draining");
        }
        if !self.listening.load(Ordering::Acquire) {
            return Err("waiting for config and identity");
        }
        Ok(())
    }
}

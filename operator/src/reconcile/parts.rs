//! What the owner of the world begins with, and what it says of its first lowering.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{mpsc, watch};
use weft_crds::{ObjectRef, Settings, status::Status};

use super::{Joining, Question};
use crate::{
    identity::{Authority, Wanted},
    lease::Leadership,
    metrics::Metrics,
    publish::Ledger,
    reports::Told,
};

/// What the first full lowering came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Documents that are stored.
    pub documents: usize,
    /// Objects that were read.
    pub objects: usize,
    /// Problems of all objects, files and documents.
    pub problems: usize,
}

/// Everything that the owner of the world needs to begin.
pub struct Parts<P, W> {
    /// Where documents go.
    pub publisher: P,
    /// What is known to be stored.
    pub ledger: Ledger,
    /// Where statuses go.
    pub statuses: W,
    /// The statuses that are known to stand.
    pub stored_statuses: HashMap<ObjectRef, Status>,
    /// Whether it may write.
    pub leadership: Leadership,
    /// What it counts.
    pub metrics: Metrics,
    /// What the mesh is called.
    pub settings: Settings,
    /// Whose accounts are given an identity.
    pub joining: Joining,
    /// Told who they are.
    pub wanted: watch::Sender<Wanted>,
    /// The CA, whose roots the mesh document carries.
    pub authority: watch::Receiver<Option<Arc<Authority>>>,
    /// What proxies tell; `None`: they are not asked.
    pub reports: Option<mpsc::Receiver<Told>>,
    /// Who asks what an object would mean; answered by every replica, whichever leads.
    pub questions: mpsc::Receiver<Question>,
    /// Told once the first full lowering is written.
    pub summary: watch::Sender<Option<Summary>>,
    /// Told when this operator is of use: the leader when its first full lowering is written,
    /// a standby when its caches are complete.
    pub ready: watch::Sender<bool>,
}

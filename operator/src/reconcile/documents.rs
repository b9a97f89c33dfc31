use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use weft_crds::{Key, Lowered, World, lower};
use weft_engine::{
    compile::check,
    documents::{DocumentName, Envelope},
    problem::Problem,
};

use super::{
    due::Due,
    writing::{Done, Step, Written, publish},
};
use crate::{
    backoff,
    lease::Leadership,
    metrics::{DocumentKind, Metrics},
    publish::{Ledger, Observation, Publisher, kind_of, span},
};

/// Keys whose documents are written at the same time.
const CONCURRENCY: usize = 16;

/// How long the changes of a key are gathered.
const GATHER: Duration = Duration::from_millis(3);

/// How long changes of endpoints are gathered: a rollout is a burst of them.
const GATHER_ENDPOINTS: Duration = Duration::from_millis(40);

/// The most keys that are lowered in a row; then events are looked at again.
const ROUND: usize = 64;

/// Lowering dirty keys and publishing what differs from what is stored.
pub(super) struct Documents<P> {
    publisher: P,
    leadership: Leadership,
    metrics: Metrics,
    ledger: Ledger,
    due: Due<Key>,
    busy: HashMap<Key, Busy>,
    failed: HashMap<Key, (u32, String)>,
    /// Keys of the first full lowering that were not tried yet.
    first: HashSet<Key>,
    tasks: JoinSet<Written>,
    running: HashMap<Id, Key>,
    /// What was stored, by digest, or withdrawn since the last look.
    news: Vec<(DocumentName, Option<String>)>,
}

/// A key that is being written.
#[derive(Default)]
struct Busy {
    /// It became dirty meanwhile.
    again: bool,
    /// What the watch saw of its documents meanwhile.
    seen: Vec<Observation>,
}

/// A key that was lowered.
pub(super) struct LoweredKey {
    pub(super) key: Key,
    pub(super) problems: Vec<Problem>,
    /// Whether nothing had to be written.
    pub(super) settled: bool,
}

impl<P: Publisher> Documents<P> {
    pub(super) fn new(
        publisher: P,
        ledger: Ledger,
        leadership: Leadership,
        metrics: Metrics,
    ) -> Self {
        Self {
            publisher,
            leadership,
            metrics,
            ledger,
            due: Due::new(),
            busy: HashMap::new(),
            failed: HashMap::new(),
            first: HashSet::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            news: Vec::new(),
        }
    }

    /// What is stored, with its digest where that is certain.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&DocumentName, &str)> {
        self.ledger.digests()
    }

    /// What was stored, by digest, or withdrawn since the last call.
    pub(super) fn take_news(&mut self) -> Vec<(DocumentName, Option<String>)> {
        std::mem::take(&mut self.news)
    }

    /// How many documents are stored.
    pub(super) fn stored(&self) -> usize {
        self.ledger.count()
    }

    /// A key's documents may have changed.
    pub(super) fn mark(&mut self, key: Key) {
        let gather = match key {
            Key::Endpoints(..) | Key::Addresses(_) => GATHER_ENDPOINTS,
            _ => GATHER,
        };
        self.due.mark(key, Instant::now() + gather);
        self.count();
    }

    /// Every key, and every stored document that has none any more, is looked at.
    pub(super) fn mark_everything(&mut self, world: &World) {
        let now = Instant::now();
        let stored = self.ledger.names().map(Key::from);
        for key in world.keys().into_iter().chain(stored) {
            self.first.insert(key.clone());
            self.due.mark(key, now);
        }
        self.count();
    }

    /// Whether every key of the last [`Self::mark_everything`] was tried.
    pub(super) fn is_through(&self) -> bool {
        self.first.is_empty()
    }

    /// Whether a key waits or is being written, and may yet succeed at once.
    pub(super) fn is_pending(&self, key: &Key) -> bool {
        self.failure(key).is_none() && (self.due.contains(key) || self.busy.contains_key(key))
    }

    /// Why a key cannot be published. A first failure is no reason yet: it is tried again within
    /// a moment, and a status that flickers helps nobody.
    pub(super) fn failure(&self, key: &Key) -> Option<String> {
        self.failed
            .get(key)
            .filter(|(failures, _)| *failures >= 3)
            .map(|(_, reason)| reason.clone())
    }

    /// Whether a key could not be published when it was last tried.
    pub(super) fn is_failing(&self, key: &Key) -> bool {
        self.failed.contains_key(key)
    }

    /// A watch saw one of the documents. Whoever leads mends what somebody else changed.
    pub(super) fn saw(&mut self, seen: Observation, leading: bool) {
        let key = Key::from(&seen.name);
        if let Some(busy) = self.busy.get_mut(&key) {
            busy.seen.push(seen);
            return;
        }
        let name = seen.name.clone();
        if self.ledger.observe(seen) && leading {
            tracing::info!(document = %name, "somebody else changed a document; it is looked at again");
            self.ledger.doubt(&name);
            self.mark(key);
        }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.tasks.len() < CONCURRENCY {
            self.due.next()
        } else {
            None
        }
    }

    /// Lowers keys that are due and begins to write what differs.
    pub(super) fn advance(&mut self, world: &World) -> Vec<LoweredKey> {
        let now = Instant::now();
        let mut lowered_keys = Vec::new();
        while self.tasks.len() < CONCURRENCY && lowered_keys.len() < ROUND {
            let Some(key) = self.due.take(now) else {
                break;
            };
            if let Some(busy) = self.busy.get_mut(&key) {
                busy.again = true;
                continue;
            }
            let started = Instant::now();
            let Lowered {
                documents,
                mut problems,
            } = lower(world, &key);
            for (_, document) in &documents {
                problems.extend(check(document));
            }
            problems.sort();
            problems.dedup();
            let envelopes: Vec<_> = documents
                .into_iter()
                .map(|(name, document)| (name, Envelope::seal(document)))
                .collect();
            self.metrics
                .lowering_seconds
                .observe(started.elapsed().as_secs_f64());
            let steps = self.steps(&key, envelopes);
            let settled = steps.is_empty();
            if settled {
                self.first.remove(&key);
                self.failed.remove(&key);
            } else {
                self.begin(key.clone(), steps);
            }
            lowered_keys.push(LoweredKey {
                key,
                problems,
                settled,
            });
        }
        self.count();
        lowered_keys
    }

    fn steps(&self, key: &Key, envelopes: Vec<(DocumentName, Envelope)>) -> Vec<Step> {
        let withdraw: Vec<_> = self
            .names_of(key)
            .into_iter()
            .filter(|stored| !envelopes.iter().any(|(name, _)| name == stored))
            .map(Step::Withdraw)
            .collect();
        envelopes
            .into_iter()
            .filter(|(name, envelope)| self.ledger.differs(name, &envelope.digest))
            .map(|(name, envelope)| Step::Write(name, Box::new(envelope)))
            // What replaces comes before what is taken away.
            .chain(withdraw)
            .collect()
    }

    /// The stored documents of a key.
    fn names_of(&self, key: &Key) -> Vec<DocumentName> {
        let (first, last) = span(key);
        self.ledger.between(&first, &last).cloned().collect()
    }

    fn begin(&mut self, key: Key, steps: Vec<Step>) {
        let (publisher, leadership) = (self.publisher.clone(), self.leadership.clone());
        self.busy.insert(key.clone(), Busy::default());
        let task = self
            .tasks
            .spawn(publish(publisher, leadership, key.clone(), steps));
        self.running.insert(task.id(), key);
    }

    /// Waits for the end of a key's writes; for ever while none runs.
    pub(super) async fn finish(&mut self) -> Option<Key> {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    fn ended(&mut self, ended: Result<(Id, Written), JoinError>) -> Option<Key> {
        let written = match ended {
            Ok((task, written)) => {
                self.running.remove(&task);
                written
            }
            Err(error) => {
                // Cut off in the middle: nothing is known of its documents any more.
                let key = self.running.remove(&error.id())?;
                self.busy.remove(&key);
                for name in self.names_of(&key) {
                    self.ledger.doubt(&name);
                }
                return Some(key);
            }
        };
        let key = written.key;
        self.first.remove(&key);
        for done in written.done {
            self.note(done);
        }
        let failed = match written.failure {
            None => {
                self.failed.remove(&key);
                None
            }
            Some((name, error)) => {
                self.ledger.doubt(&name);
                error
            }
        };
        let busy = self.busy.remove(&key).unwrap_or_default();
        if busy.again {
            self.mark(key.clone());
        }
        if let Some(error) = failed {
            self.metrics.write_failures.inc();
            let (failures, reason) = self.failed.entry(key.clone()).or_default();
            *failures += 1;
            *reason = error.to_string();
            tracing::warn!(%error, failures, "a document was not written; it is tried again");
            let at = Instant::now() + backoff::after(*failures);
            self.due.mark(key.clone(), at);
        }
        for seen in busy.seen {
            self.saw(seen, true);
        }
        self.count();
        Some(key)
    }

    fn note(&mut self, done: Done) {
        match done {
            Done::Wrote {
                name,
                digest,
                version,
                bytes,
            } => {
                let kind = kind_of(&name);
                self.metrics
                    .documents_written
                    .get_or_create(&DocumentKind { kind })
                    .inc();
                self.metrics.document_bytes.inc_by(bytes as u64);
                tracing::debug!(document = %name, digest, bytes, "wrote");
                self.news.push((name.clone(), Some(digest.clone())));
                self.ledger.wrote(name, digest, version);
            }
            Done::Withdrew(name) => {
                let kind = kind_of(&name);
                self.metrics
                    .documents_withdrawn
                    .get_or_create(&DocumentKind { kind })
                    .inc();
                tracing::debug!(document = %name, "withdrew");
                self.ledger.withdrew(&name);
                self.news.push((name, None));
            }
        }
    }

    /// Stops writing: the term ended.
    pub(super) fn stand_down(&mut self) {
        self.tasks.abort_all();
        self.due.clear();
        self.failed.clear();
        self.first.clear();
        self.count();
    }

    /// Waits until what is being written is written.
    pub(super) async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }

    fn count(&self) {
        self.metrics.dirty_keys.set(self.due.len() as i64);
    }
}

//! Journey 1, a change: world → dirty keys → lower → check → publish → status.
//!
//! One task owns the world and decides; everything that waits for a disk or a network is a
//! task of its own, bounded in number, whose end is another event here. Nothing is written
//! before the world is complete, the CA's roots are known and this operator leads: a restart
//! never empties a document.

/// Who needs an identity.
mod accounts;
/// From a dirty key to stored documents.
mod documents;
/// What waits, once each, by time.
mod due;
/// What Gateways are told.
mod gateways;
/// What proxies say that they have active.
mod hearing;
/// What it begins with.
mod parts;
/// What is wrong, by where it was found.
mod problems;
/// What others ask the owner of the world.
mod questions;
/// From problems to what users are told.
mod statuses;
/// Writing the documents of one key.
mod writing;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use weft_crds::{Key, Kind, ObjectRef, World};

use crate::{
    identity::Authority, lease::Leadership, metrics::Metrics, publish::Publisher, source::Change,
    status::StatusWriter,
};

use accounts::Accounts;
pub use accounts::Joining;
use documents::Documents;
use gateways::Gateways;
use hearing::Hearing;
pub use parts::{Parts, Summary};
use problems::Problems;
pub use questions::{Question, Questions, questions};
use statuses::{Knowledge, Statuses};

/// Changes that are taken in a row before the work that they cause is begun.
const BATCH: usize = 512;

/// How often every status is computed again; nothing is written where nothing changed.
const SWEEP: Duration = Duration::from_secs(60);

/// How long changes of pods and accounts are gathered before it is worked out who needs an
/// identity.
const GATHER_ACCOUNTS: Duration = Duration::from_millis(20);

/// The owner of the world.
pub struct Reconciler<P, W> {
    world: World,
    documents: Documents<P>,
    statuses: Statuses<W>,
    hearing: Hearing,
    gateways: Gateways<W>,
    problems: Problems,
    accounts: Accounts,
    accounts_due: Option<Instant>,
    leadership: Leadership,
    metrics: Metrics,
    authority: watch::Receiver<Option<Arc<Authority>>>,
    questions: mpsc::Receiver<Question>,
    summary: watch::Sender<Option<Summary>>,
    ready: watch::Sender<bool>,
    complete: bool,
    /// Whether this operator leads and has everything that writing takes.
    writing: bool,
    sweep: Instant,
}

impl<P: Publisher, W: StatusWriter> Reconciler<P, W> {
    /// An owner of an empty world.
    pub fn new(parts: Parts<P, W>) -> Self {
        Self {
            world: World::new(parts.settings),
            documents: Documents::new(
                parts.publisher,
                parts.ledger,
                parts.leadership.clone(),
                parts.metrics.clone(),
            ),
            gateways: Gateways::new(
                parts.statuses.clone(),
                parts.leadership.clone(),
                parts.metrics.clone(),
            ),
            statuses: Statuses::new(
                parts.statuses,
                parts.stored_statuses,
                parts.leadership.clone(),
                parts.metrics.clone(),
            ),
            hearing: Hearing::new(parts.reports, parts.metrics.clone()),
            problems: Problems::default(),
            accounts: Accounts::new(parts.joining, parts.wanted),
            accounts_due: None,
            leadership: parts.leadership,
            metrics: parts.metrics,
            authority: parts.authority,
            questions: parts.questions,
            summary: parts.summary,
            ready: parts.ready,
            complete: false,
            writing: false,
            sweep: Instant::now() + SWEEP,
        }
    }

    /// Runs until `stop` is cancelled or the source ends; what is being written then is
    /// finished.
    pub async fn run(mut self, mut changes: mpsc::Receiver<Change>, stop: CancellationToken) {
        loop {
            self.advance();
            let wake = self.wake();
            tokio::select! {
                () = stop.cancelled() => break,
                change = changes.recv() => {
                    let Some(change) = change else { break };
                    self.take(change);
                    for _ in 1..BATCH {
                        let Ok(change) = changes.try_recv() else { break };
                        self.take(change);
                    }
                    self.metrics.queue_depth.set(changes.len() as i64);
                }
                Some(question) = self.questions.recv() => {
                    question.answer(self.complete.then_some(&self.world));
                }
                Some(key) = self.documents.finish() => {
                    self.gateways.mark(&key);
                    self.name_objects_of(&key);
                }
                () = self.gateways.finish() => {}
                () = self.statuses.finish() => {}
                told = self.hearing.next() => {
                    self.hearing.take(told, &self.world);
                    for _ in 1..BATCH {
                        let Some(told) = self.hearing.more() else { break };
                        self.hearing.take(told, &self.world);
                    }
                }
                () = until(wake) => {}
                () = self.leadership.changed() => {}
                Ok(()) = self.authority.changed() => {}
            }
        }
        self.documents.drain().await;
        self.statuses.drain().await;
        self.gateways.drain().await;
    }

    /// When there is something to do that no event tells of. A standby waits for events alone.
    fn wake(&self) -> Option<Instant> {
        let writing = self.writing.then(|| {
            [
                Some(self.sweep),
                self.documents.next(),
                self.statuses.next(),
                self.hearing.wake(),
                self.gateways.next(),
            ]
        });
        let writing = writing.into_iter().flatten().flatten();
        writing.chain(self.accounts_due).min()
    }

    /// Takes one change into the world.
    fn take(&mut self, change: Change) {
        match change {
            Change::Applied { object, status } => {
                let reference = object.reference();
                self.accounts.see(&object);
                self.problems.unreadable(&reference.to_string(), None);
                self.take_status(reference, status);
                self.world.apply(*object);
            }
            Change::Told { object, status } => self.take_status(object, status),
            Change::Removed(reference) => {
                self.accounts.see_gone(&reference);
                self.problems.unreadable(&reference.to_string(), None);
                self.world.remove(&reference);
                if reference.kind == Kind::Pod {
                    self.hearing.gone(&reference.namespace, &reference.name);
                }
                if reference.kind.is_own() {
                    self.statuses.gone(&reference);
                } else if reference.kind == Kind::Gateway {
                    self.gateways.gone(&reference);
                }
            }
            Change::Unreadable { object, problem } => {
                tracing::warn!(%problem, "an object cannot be read; its last good meaning stays");
                self.problems.unreadable(&object.to_string(), Some(problem));
                self.statuses.mark(object);
            }
            Change::File { file, problems } => {
                for problem in &problems {
                    tracing::warn!(file, %problem, "a manifest has a problem");
                }
                let (changed, concerned) = self.problems.in_file(&file, problems);
                if changed {
                    self.statuses.mark_file(file);
                }
                self.name_objects(concerned);
            }
            Change::Stored(seen) => self.documents.saw(seen, self.writing),
            Change::Complete => {
                if !self.complete {
                    self.complete = true;
                    tracing::info!(objects = self.world.count(), "the world is complete");
                }
            }
        }
    }

    /// Takes the status that stands of an object.
    fn take_status(&mut self, object: ObjectRef, status: Option<serde_json::Value>) {
        if object.kind.is_own() {
            if let Some(status) = status {
                self.statuses
                    .saw(&object, serde_json::from_value(status).ok());
            }
            self.statuses.mark(object);
        } else if object.kind == Kind::Gateway {
            self.gateways.saw(&object, status);
        }
    }

    /// Does what there is to do and waits for nothing.
    fn advance(&mut self) {
        if let Some(authority) = self.authority.borrow_and_update().as_ref()
            && self.world.settings().trust_bundle != authority.bundle()
        {
            self.world.set_trust_bundle(authority.bundle().to_owned());
        }
        if !self.complete {
            return;
        }
        self.tell_accounts();
        self.begin_or_end_writing();
        let dirty = self.world.take_dirty();
        if !self.writing {
            if !self.leadership.holds() {
                self.ready
                    .send_if_modified(|ready| !std::mem::replace(ready, true));
            }
            return;
        }
        for key in dirty {
            self.documents.mark(key);
        }
        let now = Instant::now();
        if now >= self.sweep {
            self.sweep = now + SWEEP;
            self.mark_every_status();
        }
        for lowered in self.documents.advance(&self.world) {
            let concerned = self.problems.found(&lowered.key, lowered.problems);
            self.name_objects(concerned);
            self.gateways.mark(&lowered.key);
            if lowered.settled {
                self.name_objects_of(&lowered.key);
            }
        }
        self.hear();
        self.statuses.make_way(!self.documents.is_through());
        let documents = &self.documents;
        self.gateways
            .advance(&self.world, |key| documents.is_pending(key));
        self.statuses.advance(&Knowledge {
            world: &self.world,
            problems: &self.problems,
            pending: &|key| documents.is_pending(key),
            failed: &|key| documents.failure(key),
            board: self.hearing.board(),
            early: self.hearing.is_early(),
        });
        self.announce();
    }

    /// Brings what is known of the proxies together with what is stored.
    fn hear(&mut self) {
        for (name, digest) in self.documents.take_news() {
            self.hearing.published(&name, digest.as_deref());
        }
        let (news, all) = self.hearing.advance(&self.world);
        if all {
            self.mark_every_status();
        }
        let keys: BTreeSet<Key> = news.iter().map(|name| Key::from(&**name)).collect();
        for key in keys {
            self.name_objects_of(&key);
        }
    }

    fn tell_accounts(&mut self) {
        if !self.accounts.is_stale(&self.world) {
            return;
        }
        let now = Instant::now();
        match self.accounts_due {
            None => self.accounts_due = Some(now + GATHER_ACCOUNTS),
            Some(at) if at <= now => {
                self.accounts_due = None;
                self.accounts.tell(&self.world);
            }
            Some(_) => {}
        }
    }

    fn begin_or_end_writing(&mut self) {
        let may = self.leadership.holds() && self.authority.borrow().is_some();
        if may && !self.writing {
            self.writing = true;
            self.sweep = Instant::now() + SWEEP;
            // Before the dirty keys of meanwhile, which are among them.
            self.world.take_dirty();
            self.documents.mark_everything(&self.world);
            self.hearing.begin(self.documents.digests(), &self.world);
            self.mark_every_status();
        } else if !may && self.writing {
            self.writing = false;
            self.documents.stand_down();
            self.statuses.stand_down();
            self.hearing.end();
            self.gateways.stand_down();
        }
    }

    fn mark_every_status(&mut self) {
        let objects = self.world.objects();
        for object in self.statuses.known() {
            if !objects.contains(&object) {
                self.statuses.gone(&object);
            }
        }
        for object in objects {
            self.statuses.mark(object);
        }
    }

    fn name_objects_of(&mut self, key: &Key) {
        for object in self.world.objects_of(key) {
            // To a policy of a whole namespace or mesh one service is news only when its own
            // status waits for it, or it cannot be published: else each change would look at
            // every service.
            let afar = object.kind == Kind::MeshPolicy
                && matches!(key, Key::Service(..) | Key::Endpoints(..));
            let news = || {
                self.statuses.awaits(&object, key)
                    || self.statuses.counts(&object)
                    || self.documents.is_failing(key)
            };
            if !afar || news() {
                self.statuses.mark(object);
            }
        }
    }

    fn name_objects(&mut self, concerned: BTreeSet<String>) {
        // What names a file or an object of another kind has no status.
        let objects = concerned.iter().filter_map(|name| name.parse().ok());
        for object in objects.filter(|object: &ObjectRef| object.kind.is_own()) {
            self.statuses.mark(object);
        }
    }

    /// Says, once, that the first full lowering is written.
    fn announce(&mut self) {
        if self.documents.is_through() && self.statuses.is_idle() && self.summary.borrow().is_none()
        {
            let summary = Summary {
                documents: self.documents.stored(),
                objects: self.world.count(),
                problems: self.count_problems(),
            };
            tracing::info!(
                documents = summary.documents,
                objects = summary.objects,
                problems = summary.problems,
                "everything is lowered and written"
            );
            self.summary.send_replace(Some(summary));
            self.ready.send_replace(true);
        }
    }

    fn count_problems(&self) -> usize {
        let reports: Vec<_> = self
            .world
            .objects()
            .iter()
            .filter_map(|object| self.world.report(object))
            .collect();
        let mut all = self.problems.all();
        all.extend(reports.iter().flat_map(|report| &report.problems));
        all.len()
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

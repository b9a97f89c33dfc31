use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use weft_crds::{
    Key, ObjectRef, World,
    status::{Input, Programmed, Reach, Status, compute},
};
use weft_engine::problem::{Problem, Severity};

use super::{due::Due, problems::Problems};
use crate::{
    backoff,
    lease::Leadership,
    metrics::Metrics,
    reports::Board,
    status::{Pace, StatusError, StatusWriter, waits_for_proxies},
};

/// Statuses that are written at the same time.
const CONCURRENCY: usize = 8;

/// The same while the first full lowering is written: what proxies wait for goes before what users
/// read.
const CONCURRENCY_AT_FIRST: usize = 1;

/// How long an object's changes are gathered before its status is told.
const GATHER: Duration = Duration::from_millis(5);

/// What users are told of their objects.
pub(super) struct Statuses<W> {
    writer: W,
    leadership: Leadership,
    metrics: Metrics,
    /// What stands now.
    stored: HashMap<ObjectRef, Status>,
    due: Due<Subject>,
    busy: HashMap<Subject, bool>,
    failures: HashMap<Subject, u32>,
    failing: HashSet<ObjectRef>,
    /// The key that an object's status waits for: it is not published yet, or cannot be.
    awaiting: HashMap<ObjectRef, Key>,
    /// The generation that was first seen published, and the number of the newest document then.
    carried: HashMap<ObjectRef, (i64, u64)>,
    pace: Pace,
    concurrency: usize,
    tasks: JoinSet<Told>,
    running: HashMap<Id, Subject>,
}

/// Whose status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Subject {
    Object(ObjectRef),
    Gone(ObjectRef),
    File(String),
}

/// A write that ended: what it told, and how; `None`: it was cut off with the term.
struct Told {
    subject: Subject,
    status: Option<Status>,
    result: Option<Result<(), StatusError>>,
}

/// What the rest of the operator knows when a status is computed.
pub(super) struct Knowledge<'a> {
    pub(super) world: &'a World,
    pub(super) problems: &'a Problems,
    /// Keys that wait or are being written.
    pub(super) pending: &'a dyn Fn(&Key) -> bool,
    /// Why a key's documents cannot be published, where they cannot.
    pub(super) failed: &'a dyn Fn(&Key) -> Option<String>,
    /// What proxies have active, where they are asked.
    pub(super) board: Option<&'a Board>,
    /// Whether those who are silent still may be about to speak.
    pub(super) early: bool,
}

impl<W: StatusWriter> Statuses<W> {
    pub(super) fn new(
        writer: W,
        stored: HashMap<ObjectRef, Status>,
        leadership: Leadership,
        metrics: Metrics,
    ) -> Self {
        Self {
            writer,
            leadership,
            metrics,
            stored,
            due: Due::new(),
            busy: HashMap::new(),
            failures: HashMap::new(),
            failing: HashSet::new(),
            awaiting: HashMap::new(),
            carried: HashMap::new(),
            pace: Pace::default(),
            concurrency: CONCURRENCY,
            tasks: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Whether documents are written that every proxy may wait for.
    pub(super) fn make_way(&mut self, first: bool) {
        self.concurrency = if first {
            CONCURRENCY_AT_FIRST
        } else {
            CONCURRENCY
        };
    }

    /// An object came with this status.
    pub(super) fn saw(&mut self, object: &ObjectRef, status: Option<Status>) {
        // While we write, what comes back is older than what we know.
        if self.busy.contains_key(&Subject::Object(object.clone())) {
            return;
        }
        match status {
            Some(status) => self.stored.insert(object.clone(), status),
            None => self.stored.remove(object),
        };
    }

    pub(super) fn mark(&mut self, object: ObjectRef) {
        self.due
            .mark(Subject::Object(object), Instant::now() + GATHER);
    }

    /// Whether an object's status waits for this key, or says that it failed.
    pub(super) fn awaits(&self, object: &ObjectRef, key: &Key) -> bool {
        self.awaiting.get(object) == Some(key)
    }

    pub(super) fn mark_file(&mut self, file: String) {
        self.due.mark(Subject::File(file), Instant::now() + GATHER);
    }

    /// An object went.
    pub(super) fn gone(&mut self, object: &ObjectRef) {
        self.due.forget(&Subject::Object(object.clone()));
        self.failing.remove(object);
        self.awaiting.remove(object);
        self.carried.remove(object);
        self.pace.forget(object);
        self.metrics
            .objects_with_problems
            .set(self.failing.len() as i64);
        if self.stored.contains_key(object) {
            self.due.mark(Subject::Gone(object.clone()), Instant::now());
        }
    }

    /// Objects of which something is told, though they may be gone.
    pub(super) fn known(&self) -> BTreeSet<ObjectRef> {
        self.stored.keys().cloned().collect()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
            && self
                .due
                .next()
                .is_none_or(|at| at > Instant::now() + GATHER)
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.tasks.len() < self.concurrency {
            self.due.next()
        } else {
            None
        }
    }

    /// Computes what is due and begins to write what differs from what stands.
    pub(super) fn advance(&mut self, knowledge: &Knowledge<'_>) {
        let now = Instant::now();
        while self.tasks.len() < self.concurrency {
            let Some(subject) = self.due.take(now) else {
                return;
            };
            if let Some(again) = self.busy.get_mut(&subject) {
                *again = true;
                continue;
            }
            let status = match &subject {
                Subject::Object(object) => {
                    let Some(status) = self.status_of(object, knowledge) else {
                        continue;
                    };
                    let before = self.stored.get(object);
                    if before == Some(&status) {
                        self.pace.settled(object);
                        continue;
                    }
                    let at = self.pace.due(object, before, &status, now);
                    if at > now {
                        self.due.mark(subject, at);
                        continue;
                    }
                    Some(status)
                }
                Subject::Gone(object) => {
                    if knowledge.world.report(object).is_some() {
                        // It came back meanwhile.
                        continue;
                    }
                    None
                }
                Subject::File(file) => file_status(knowledge.problems.of_file(file)),
            };
            self.tell(subject, status);
        }
    }

    fn status_of(&mut self, object: &ObjectRef, knowledge: &Knowledge<'_>) -> Option<Status> {
        let report = knowledge.world.report(object)?;
        let keys = knowledge.world.keys_of(object);
        // The last one: keys are published about in order, and a policy of the whole mesh has
        // thousands.
        if let Some(key) = keys.iter().rev().find(|key| (knowledge.pending)(key)) {
            // It names the object again when it is done.
            self.awaiting.insert(object.clone(), key.clone());
            return None;
        }
        let failed = |key: &Key| Some((key.clone(), (knowledge.failed)(key)?));
        let programmed = match keys.iter().find_map(failed) {
            Some((key, reason)) => {
                self.awaiting.insert(object.clone(), key);
                Programmed::Failed(reason)
            }
            None => {
                self.awaiting.remove(object);
                self.reached(object, report.generation, &keys, knowledge)?
            }
        };
        let name = object.to_string();
        let mut problems: Vec<Problem> = report.problems;
        problems.extend(knowledge.problems.of(&name, keys.iter()).cloned());
        problems.sort();
        problems.dedup();
        if problems.iter().any(|p| p.severity == Severity::Error) {
            self.failing.insert(object.clone());
        } else {
            self.failing.remove(object);
        }
        self.metrics
            .objects_with_problems
            .set(self.failing.len() as i64);
        Some(compute(&Input {
            generation: report.generation,
            problems: &problems,
            targets: &report.targets,
            programmed,
            previous: self.stored.get(object),
            now: &now(),
        }))
    }

    /// How far an object's generation has come, now that it is published. `None`: what stands is
    /// better than what can be said now.
    fn reached(
        &mut self,
        object: &ObjectRef,
        generation: i64,
        keys: &BTreeSet<Key>,
        knowledge: &Knowledge<'_>,
    ) -> Option<Programmed> {
        let Some(board) = knowledge.board else {
            return Some(Programmed::Published);
        };
        let carried = self.carried.get(object);
        let since = match carried.filter(|(known, _)| *known == generation) {
            Some((_, since)) => *since,
            None => {
                let since = board.number();
                self.carried.insert(object.clone(), (generation, since));
                since
            }
        };
        if !knowledge.early {
            return Some(Programmed::Reached(board.reach(keys.iter(), since)));
        }
        // A change of the leader takes nothing back of what the last one saw.
        let stands = self
            .stored
            .get(object)
            .filter(|stands| stands.observed_generation == Some(generation));
        let Some(stands) = stands else {
            return Some(Programmed::Unheard);
        };
        let counts = stands.proxies.as_ref();
        let counts = counts.filter(|_| !waits_for_proxies(stands))?;
        Some(Programmed::Reached(Reach {
            active: usize::try_from(counts.active).unwrap_or(0),
            total: usize::try_from(counts.total).unwrap_or(0),
            waiting: Vec::new(),
        }))
    }

    /// Whether how far an object's proxies are is news to whoever reads its status.
    pub(super) fn counts(&self, object: &ObjectRef) -> bool {
        self.pace.is_differing(object) || self.stored.get(object).is_some_and(waits_for_proxies)
    }

    fn tell(&mut self, subject: Subject, status: Option<Status>) {
        let (writer, leadership) = (self.writer.clone(), self.leadership.clone());
        self.busy.insert(subject.clone(), false);
        let task = self.tasks.spawn({
            let subject = subject.clone();
            async move {
                let result = match (&subject, &status) {
                    (Subject::Object(object), Some(status)) => {
                        leadership.guard(writer.write(object, status)).await
                    }
                    (Subject::Object(object) | Subject::Gone(object), _) => {
                        leadership.guard(writer.remove(object)).await
                    }
                    (Subject::File(file), status) => {
                        leadership
                            .guard(writer.write_file(file, status.as_ref()))
                            .await
                    }
                };
                Told {
                    subject,
                    status,
                    result,
                }
            }
        });
        self.running.insert(task.id(), subject);
    }

    /// Waits for the end of a write; for ever while none runs.
    pub(super) async fn finish(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        self.ended(ended);
    }

    fn ended(&mut self, ended: Result<(Id, Told), JoinError>) {
        let told = match ended {
            Ok((task, told)) => {
                self.running.remove(&task);
                told
            }
            Err(error) => {
                if let Some(subject) = self.running.remove(&error.id()) {
                    self.busy.remove(&subject);
                }
                return;
            }
        };
        let again = self.busy.remove(&told.subject).unwrap_or_default();
        if again {
            self.due.mark(told.subject.clone(), Instant::now());
        }
        match told.result {
            Some(Ok(())) => {
                self.failures.remove(&told.subject);
                match (told.subject, told.status) {
                    (Subject::Object(object), Some(status)) => {
                        self.metrics.statuses_written.inc();
                        self.pace.told(&object, Instant::now());
                        self.stored.insert(object, status);
                    }
                    (Subject::Object(object) | Subject::Gone(object), _) => {
                        self.stored.remove(&object);
                    }
                    (Subject::File(_), _) => {}
                }
            }
            Some(Err(error)) => {
                self.metrics.write_failures.inc();
                let failures = self.failures.entry(told.subject.clone()).or_default();
                *failures += 1;
                tracing::warn!(%error, failures, "a status was not written; it is tried again");
                let at = Instant::now() + backoff::after(*failures);
                self.due.mark(told.subject, at);
            }
            // The term ended: whoever leads next tells it.
            None => {}
        }
    }

    /// Stops writing: the term ended.
    pub(super) fn stand_down(&mut self) {
        self.tasks.abort_all();
        self.due.clear();
        self.carried.clear();
        self.pace = Pace::default();
    }

    /// Waits until what is being written is written.
    pub(super) async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }
}

/// What is told of a manifest file; `None`: nothing is wrong with it.
fn file_status(problems: &[Problem]) -> Option<Status> {
    if problems.is_empty() {
        return None;
    }
    Some(compute(&Input {
        generation: 0,
        problems,
        targets: &[],
        programmed: Programmed::Published,
        previous: None,
        now: &now(),
    }))
}

/// RFC 3339 in UTC with seconds.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

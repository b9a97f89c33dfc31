use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse},
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use weft_crds::{
    Object,
    judge::{self, Judgement},
};
use weft_engine::problem::{Code, Problem, Severity};

use super::Answer;
use crate::reconcile::Questions;

/// The API server's bound on the warnings of one answer is 4 KiB; beyond, it cuts them off.
const MOST_WARNINGS: usize = 8;

/// Somebody waits for the answer. What is not judged by then is stored, with a word about it.
const PATIENCE: Duration = Duration::from_millis(900);

/// When judging ends with what it has found.
const ENOUGH: Duration = Duration::from_millis(700);

/// Somebody who applies a Service and its route in one go is asked about the route before our
/// watch has seen the Service: what is missing, or not as it should be, is looked at once more.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// Objects that are judged at the same time: judging is work, and those who wait give up.
const JUDGING: usize = 4;

/// Judges objects with the world of this replica.
#[derive(Clone)]
pub(super) struct Judge {
    questions: Questions,
    slots: Arc<Semaphore>,
}

/// What was found of an object.
enum Found {
    /// Everything that there is to say; with how many documents were left out.
    All(Judgement),
    /// It was not judged in time.
    Late,
}

impl Judge {
    pub(super) fn new(questions: Questions) -> Self {
        Self {
            questions,
            slots: Arc::new(Semaphore::new(JUDGING)),
        }
    }

    /// Refused: what could not be enforced. Warned of: what looks unmeant, and what is missing.
    pub(super) async fn answer(&self, request: &AdmissionRequest<DynamicObject>) -> Answer {
        let started = Instant::now();
        let response = AdmissionResponse::from(request);
        let Some(object) = &request.object else {
            return (response, "allowed");
        };
        // What is being deleted is not enforced any more, and a finalizer must be removable.
        if object.metadata.deletion_timestamp.is_some() {
            return (response, "allowed");
        }
        let found = match read(object) {
            Ok(Some(object)) => {
                let problems = judge::alone(&object);
                if problems.iter().any(judge::refuses) {
                    whole(problems)
                } else {
                    match timeout(PATIENCE, self.judge(object, started)).await {
                        Ok(Some(judgement)) => Found::All(judgement),
                        // The world is not known yet.
                        Ok(None) => whole(problems),
                        Err(_) => Found::Late,
                    }
                }
            }
            Ok(None) => whole(Vec::new()),
            Err(problem) => whole(vec![problem]),
        };
        // An object of an earlier version may not stand up to this one: who only labels it is not
        // asked to mend it. Its status says what is wrong.
        let is_as_before = request
            .old_object
            .as_ref()
            .is_some_and(|old| old.data.get("spec") == object.data.get("spec"));
        tell(response, found, &reference(object), !is_as_before)
    }

    /// With the world; `None` where that is not complete yet.
    async fn judge(&self, object: Object, started: Instant) -> Option<Judgement> {
        let judgement = self.judge_once(object.clone(), started).await?;
        let may_pass = |problem: &Problem| {
            let is_missing = matches!(problem.code, Code::TargetNotFound | Code::BackendNotFound);
            is_missing || judge::refuses(problem)
        };
        // A second look that would be cut short says less than the first.
        let has_time = started.elapsed() + LOOK_AGAIN < ENOUGH / 2;
        if !has_time || !judgement.problems.iter().any(may_pass) {
            return Some(judgement);
        }
        sleep(LOOK_AGAIN).await;
        let again = self.judge_once(object, started).await;
        Some(
            again
                .filter(|again| again.skipped <= judgement.skipped)
                .unwrap_or(judgement),
        )
    }

    async fn judge_once(&self, object: Object, started: Instant) -> Option<Judgement> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let proposal = self.questions.propose(object).await?;
        let judging = tokio::task::spawn_blocking(move || {
            let judgement = proposal.judge(|| started.elapsed() > ENOUGH);
            drop(slot);
            judgement
        });
        judging.await.ok()
    }
}

fn whole(problems: Vec<Problem>) -> Found {
    Found::All(Judgement {
        problems,
        skipped: 0,
    })
}

/// `refusing`: whether what cannot be enforced is refused, and not only told.
fn tell(response: AdmissionResponse, found: Found, object: &str, refusing: bool) -> Answer {
    let mut response = response;
    let judgement = match found {
        Found::All(judgement) => judgement,
        Found::Late => {
            let told = "weft: not judged in time; the object's status will say what is wrong with it, if anything";
            response.warnings = Some(vec![told.to_owned()]);
            return (response, "late");
        }
    };
    let told = |problem: &Problem| {
        if problem.object == object {
            problem.said()
        } else {
            problem.to_string()
        }
    };
    let (refused, warned): (Vec<_>, Vec<_>) =
        judgement.problems.iter().partition(|p| judge::refuses(p));
    if !refused.is_empty() && refusing {
        let reasons: Vec<_> = refused.into_iter().map(told).collect();
        return (response.deny(reasons.join(" | ")), "refused");
    }
    let mut warnings: Vec<_> = refused.into_iter().chain(warned).map(told).collect();
    if warnings.len() > MOST_WARNINGS {
        let beyond = warnings.split_off(MOST_WARNINGS - 1).len();
        warnings.push(format!("and {beyond} more: see `weft lint`"));
    }
    if judgement.skipped > 0 {
        let skipped = judgement.skipped;
        warnings.push(format!(
            "weft: {skipped} more documents that it touches were not looked at in time; its status will say more"
        ));
    }
    if warnings.is_empty() {
        return (response, "allowed");
    }
    response.warnings = Some(warnings);
    (response, "warned")
}

/// As problems name it.
fn reference(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |types| &types.kind);
    let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
    let name = object.metadata.name.as_deref().unwrap_or_default();
    format!("{kind} {namespace}/{name}")
}

/// `Ok(None)`: a kind that is not ours.
fn read(object: &DynamicObject) -> Result<Option<Object>, Problem> {
    let mut object = object.clone();
    // Of two that contradict each other the younger loses: one that has no age is the youngest.
    let created = &mut object.metadata.creation_timestamp;
    created.get_or_insert_with(|| Time(Timestamp::now()));
    serde_json::to_value(&object)
        .map_err(|error| error.to_string())
        .and_then(|value| Object::from_manifest(&value).map_err(|error| error.to_string()))
        .map_err(|message| Problem {
            severity: Severity::Error,
            code: Code::Invalid,
            object: reference(&object),
            field: String::new(),
            message,
            fix: "see `kubectl explain`".to_owned(),
        })
}

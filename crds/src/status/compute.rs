//! From problems to conditions.
//!
//! kstatus reads `Reconciling` and `Stalled` where they are true, else compares generations;
//! Argo CD and Flux read `Ready`. So `Ready` is always there, and the other two only while true.

use weft_engine::problem::{Code, Problem, Severity};

use super::{AncestorRef, AncestorStatus, Condition, Programmed, ProxyCounts, Status};
use crate::CONTROLLER;

/// What a status is computed from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The object's `metadata.generation`.
    pub generation: i64,
    /// All problems of the object: its report's and its keys'.
    pub problems: &'a [Problem],
    /// Its targets, and whether each was found.
    pub targets: &'a [(AncestorRef, bool)],
    /// How far its documents have come.
    pub programmed: Programmed,
    /// The status that stands now.
    pub previous: Option<&'a Status>,
    /// Now, RFC 3339 in UTC with seconds: `2026-01-02T03:04:05Z`.
    pub now: &'a str,
}

/// One condition before it has its times.
pub(super) struct Verdict {
    pub(super) status: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The status that an object should have. Equal to the previous one when nothing changed, so
/// that nothing is written.
pub fn compute(input: &Input<'_>) -> Status {
    let accepted = accepted(input.problems);
    let resolved = resolved(input.problems);
    let programmed = input.programmed.verdict(&accepted);
    // The first that does not hold says why the whole does not.
    let ready = [&accepted, &resolved, &programmed]
        .into_iter()
        .find(|verdict| !verdict.status)
        .map_or_else(
            || Verdict {
                status: true,
                reason: warning(input.problems)
                    .map_or("Programmed", |problem| reason(problem.code)),
                message: warning(input.problems).map_or_else(|| programmed.message.clone(), said),
            },
            |verdict| Verdict {
                status: false,
                reason: verdict.reason,
                message: verdict.message.clone(),
            },
        );
    // What does not come right by waiting is stalled; what is only under way is reconciling.
    let waits = input.programmed.is_under_way() && accepted.status && resolved.status;
    let extra = (!ready.status).then(|| {
        let kind = if waits { "Reconciling" } else { "Stalled" };
        let verdict = Verdict {
            status: true,
            reason: ready.reason,
            message: ready.message.clone(),
        };
        (kind, verdict)
    });
    let conditions = [("Ready", ready)]
        .into_iter()
        .chain(extra)
        .chain([
            ("Accepted", accepted),
            ("ResolvedRefs", resolved),
            ("Programmed", programmed),
        ])
        .map(|(kind, verdict)| {
            let previous = input.previous.map(|status| status.conditions.as_slice());
            condition(kind, verdict, input, previous.unwrap_or_default())
        })
        .collect();
    let found = input.targets.iter().filter(|(_, found)| *found).count();
    Status {
        observed_generation: Some(input.generation),
        conditions,
        targets: Some(format!("{found}/{}", input.targets.len())),
        programmed: Some(input.programmed.shown()),
        ancestors: ancestors(input),
        proxies: match &input.programmed {
            Programmed::Reached(reach) => Some(ProxyCounts {
                active: reach.active.try_into().unwrap_or(i32::MAX),
                total: reach.total.try_into().unwrap_or(i32::MAX),
            }),
            _ => None,
        },
    }
}

/// A message is a sentence for people, and bounded by the schema.
const MESSAGE: usize = 2_048;

/// Problems that a message lists; it says how many there are beyond.
const LISTED: usize = 5;

/// The schema's bound on ancestors (as in the Gateway API).
const ANCESTORS: usize = 16;

fn accepted(problems: &[Problem]) -> Verdict {
    refusal(
        problems,
        &[
            Code::Invalid,
            Code::UnenforceableOnProtocol,
            Code::Conflicted,
        ],
        "Accepted",
        "it means what it says",
    )
}

fn resolved(problems: &[Problem]) -> Verdict {
    refusal(
        problems,
        &[Code::TargetNotFound, Code::BackendNotFound],
        "ResolvedRefs",
        "every reference was found",
    )
}

fn refusal(problems: &[Problem], codes: &[Code], good: &'static str, message: &str) -> Verdict {
    let errors: Vec<&Problem> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error && codes.contains(&problem.code))
        .collect();
    match errors.first() {
        None => Verdict {
            status: true,
            reason: good,
            message: message.to_owned(),
        },
        Some(first) => {
            let mut lines: Vec<String> = errors
                .iter()
                .take(LISTED)
                .map(|problem| said(problem))
                .collect();
            if errors.len() > LISTED {
                lines.push(format!("and {} more", errors.len() - LISTED));
            }
            Verdict {
                status: false,
                reason: reason(first.code),
                message: clipped(&lines.join(" | ")),
            }
        }
    }
}

/// What is worth knowing of an object that is as it should be.
fn warning(problems: &[Problem]) -> Option<&Problem> {
    [Code::Overridden, Code::OutsideMesh]
        .into_iter()
        .find_map(|code| problems.iter().find(|problem| problem.code == code))
}

fn said(problem: &Problem) -> String {
    clipped(&problem.said())
}

pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn reason(code: Code) -> &'static str {
    match code {
        Code::Invalid => "Invalid",
        Code::TargetNotFound => "TargetNotFound",
        Code::BackendNotFound => "BackendNotFound",
        Code::UnenforceableOnProtocol => "UnenforceableOnProtocol",
        Code::Conflicted => "Conflicted",
        Code::Overridden => "Overridden",
        Code::Unreachable => "Unreachable",
        Code::Shadowed => "Shadowed",
        Code::TooWide => "TooWide",
        Code::OutsideMesh => "OutsideMesh",
    }
}

/// The time of a condition is when its status last changed.
fn condition(kind: &str, verdict: Verdict, input: &Input<'_>, previous: &[Condition]) -> Condition {
    let status = if verdict.status { "True" } else { "False" };
    let since = previous
        .iter()
        .find(|condition| condition.kind == kind && condition.status == status)
        .map_or(input.now, |condition| &condition.last_transition_time);
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        observed_generation: Some(input.generation),
        last_transition_time: since.to_owned(),
        reason: verdict.reason.to_owned(),
        message: verdict.message,
    }
}

fn ancestors(input: &Input<'_>) -> Vec<AncestorStatus> {
    let whole = accepted(input.problems);
    input
        .targets
        .iter()
        .take(ANCESTORS)
        .map(|(target, found)| {
            let verdict = if !found {
                Verdict {
                    status: false,
                    reason: "TargetNotFound",
                    message: format!(
                        "there is no {} {} that it could speak for",
                        target.kind, target.name
                    ),
                }
            } else {
                Verdict {
                    status: whole.status,
                    reason: whole.reason,
                    message: whole.message.clone(),
                }
            };
            let previous = input
                .previous
                .into_iter()
                .flat_map(|status| &status.ancestors)
                .find(|ancestor| ancestor.ancestor_ref == *target)
                .map(|ancestor| ancestor.conditions.as_slice());
            AncestorStatus {
                ancestor_ref: target.clone(),
                controller_name: CONTROLLER.to_owned(),
                conditions: vec![condition(
                    "Accepted",
                    verdict,
                    input,
                    previous.unwrap_or_default(),
                )],
            }
        })
        .collect()
}

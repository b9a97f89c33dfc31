//! Watching a decision being made. `()` compiles away; [`Recorder`] keeps the steps for `weft why`.

use serde::{Deserialize, Serialize};

/// Is told each step of a decision, in order.
pub trait Observer {
    /// Whether steps are wanted: lets the caller skip building them.
    const ENABLED: bool;
    /// One step.
    fn step(&mut self, step: impl FnOnce() -> Step);
}

impl Observer for () {
    const ENABLED: bool = false;
    fn step(&mut self, _: impl FnOnce() -> Step) {}
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The phase: `path`, `route`, `deny`, `allow`, `audit`.
    pub phase: String,
    /// The rule: `namespace/name/rule`.
    pub rule: String,
    /// Whether it matched.
    pub matched: bool,
    /// Why not, naming the first condition that failed; or what was matched.
    pub detail: String,
}

/// Keeps every step.
#[derive(Debug, Default)]
pub struct Recorder(
    /// The steps so far.
    pub Vec<Step>,
);

impl Observer for Recorder {
    const ENABLED: bool = true;
    fn step(&mut self, step: impl FnOnce() -> Step) {
        self.0.push(step());
    }
}

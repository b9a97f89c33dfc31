//! Telling the operator what is active, so that a status can say "active on 12 of 12 proxies".
//!
//! Nothing depends on it: what is to be told is the difference between what is active and what
//! was last taken, so there is no queue, and an operator that is away costs a dial now and then.
//! Whom to tell is in the document `mesh`, which every leader writes anew. In flow order:

/// What is to be told.
mod difference;
/// One connection to the operator.
mod line;
/// When it is told.
mod reporter;

#[cfg(test)]
mod tests;

pub use reporter::Reporter;

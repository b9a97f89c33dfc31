//! Cases: a call and what must become of it.
//!
//! One form for the corpus that Weft itself is held to and for the `*_test.yaml` that users write
//! next to their manifests; run against the engine here, and against live proxies by whoever
//! brings some. In flow order:

/// What a case file says.
mod file;

/// The manifests that a case file plays in.
mod scene;

/// The workloads behind Services.
mod servers;

/// What became of a call, against what was expected.
mod verdict;

/// Which rules some case has exercised.
mod coverage;

pub use coverage::Coverage;
pub use file::{Case, CaseFile, CorpusError, Expect, Live, case_files};
pub use scene::{Scene, manifest_texts};
pub use servers::Servers;
pub use verdict::{CaseResult, FileReport, mismatches};

use std::{collections::BTreeMap, fs, path::Path};

use crate::BenchError;

/// The committed figures: profile, then subject, then user instructions per request.
pub type Record = BTreeMap<String, BTreeMap<String, u64>>;

/// More than the record by this much is a regression; less by it asks for a new record.
const TOLERANCE_PER_CENT: u64 = 5;

/// The record's file; empty if there is none.
pub fn read(path: &Path) -> Result<Record, BenchError> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| BenchError::Manifest(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(BenchError::file(path)(error)),
    }
}

/// Takes `seen` into the record.
pub fn write(path: &Path, profile: &str, seen: &BTreeMap<String, u64>) -> Result<(), BenchError> {
    let mut record = read(path)?;
    record
        .entry(profile.to_owned())
        .or_default()
        .extend(seen.clone());
    let text = serde_json::to_string_pretty(&record)
        .map_err(|error| BenchError::Manifest(error.to_string()))?;
    fs::write(path, text + "\n").map_err(BenchError::file(path))
}

/// What a comparison with the record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What needs more than it may, or has no record.
    pub worse: Vec<String>,
    /// What needs so much less that the record should follow.
    pub better: Vec<String>,
}

/// Compares `seen` with the record of one profile.
pub fn compare(record: &BTreeMap<String, u64>, seen: &BTreeMap<String, u64>) -> Verdict {
    let mut verdict = Verdict::default();
    for (name, count) in seen {
        let Some(recorded) = record.get(name) else {
            verdict
                .worse
                .push(format!("{name}: {count}, and there is no record of it"));
            continue;
        };
        let change = *count as f64 / *recorded as f64 - 1.0;
        // In whole numbers: exactly the tolerance is within it.
        let is_beyond = |difference: u64| difference * 100 > recorded * TOLERANCE_PER_CENT;
        let line = format!(
            "{name}: {count} user instructions per request, {:+.1} % on the record of {recorded}",
            change * 100.0
        );
        if is_beyond(count.saturating_sub(*recorded)) {
            verdict.worse.push(line);
        } else if is_beyond(recorded.saturating_sub(*count)) {
            verdict.better.push(line);
        }
    }
    verdict
}

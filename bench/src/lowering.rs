//! What lowering costs without any process around it: no files, no CA, no status.

use std::time::{Duration, Instant};

use weft_crds::{Object, Settings, World, lower, lower_all, manifests::parse};
use weft_engine::documents::Envelope;

use crate::{
    BenchError,
    manifests::{self, Size},
};

/// Changes whose median counts.
const CHANGES: u32 = 21;

/// Figures of one mesh.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lowering {
    /// Services in the mesh.
    pub services: usize,
    /// Reading the YAML and checking it.
    pub parse_ms: f64,
    /// Filling the World.
    pub world_ms: f64,
    /// Lowering every key.
    pub lower_ms: f64,
    /// What came out.
    pub documents: usize,
    /// All documents together, as they are stored.
    pub bytes: usize,
    /// One changed route: the World takes it and the keys that it dirties are lowered. Median.
    pub change_ms: f64,
    /// The documents of those keys.
    pub change_documents: usize,
    /// Their bytes, as they are stored.
    pub change_bytes: usize,
}

/// Measures a mesh of `size`.
pub fn measure(size: Size) -> Result<Lowering, BenchError> {
    let mut texts = vec![manifests::namespaces(size)];
    texts.extend((0..size.services).map(|index| manifests::service(size, index, 0)));

    let began = Instant::now();
    let mut objects = Vec::new();
    for text in &texts {
        objects.extend(read(text)?);
    }
    let parsed = began.elapsed();

    let began = Instant::now();
    let mut world = World::new(Settings::default());
    for object in objects {
        world.apply(object);
    }
    let filled = began.elapsed();

    let began = Instant::now();
    let all = lower_all(&world);
    let lowered = began.elapsed();
    if let Some(problem) = all.problems.first() {
        return Err(BenchError::Manifest(format!("{problem:?}")));
    }
    let documents = all.documents.len();
    let bytes = stored(all.documents.into_iter().map(|(_, document)| document));
    world.take_dirty();

    let mut changes = Vec::new();
    let (mut change_documents, mut change_bytes) = (0, 0);
    for edition in 1..=CHANGES {
        let changed = read(&manifests::route(size.services / 2, edition))?;
        let began = Instant::now();
        for object in changed {
            world.apply(object);
        }
        let dirty = world.take_dirty();
        let lowered: Vec<_> = dirty
            .iter()
            .flat_map(|key| lower(&world, key).documents)
            .collect();
        changes.push(began.elapsed());
        change_documents = lowered.len();
        change_bytes = stored(lowered.into_iter().map(|(_, document)| document));
    }
    Ok(Lowering {
        services: size.services,
        parse_ms: ms(parsed),
        world_ms: ms(filled),
        lower_ms: ms(lowered),
        documents,
        bytes,
        change_ms: ms(median(changes)),
        change_documents,
        change_bytes,
    })
}

fn read(text: &str) -> Result<Vec<Object>, BenchError> {
    let parsed = parse(text, "generated.yaml");
    if let Some(problem) = parsed.problems.first() {
        return Err(BenchError::Manifest(format!("{problem:?}")));
    }
    Ok(parsed
        .objects
        .into_iter()
        .map(|(object, _)| object)
        .collect())
}

fn stored(documents: impl Iterator<Item = weft_engine::documents::Document>) -> usize {
    documents
        .map(|document| Envelope::seal(document).to_json().len())
        .sum()
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The middle one.
pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .copied()
        .unwrap_or_default()
}

use std::time::Instant;

use weft_crds::{Object, Settings, World, manifests::parse};

use super::measured::Judging;
use crate::{
    BenchError,
    lowering::{median, ms},
    manifests::{self, Size},
};

/// Judgements whose median counts.
const JUDGEMENTS: usize = 11;

const POLICY: &str = "apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: team, namespace: crowd}
spec:
  targetRefs: [{kind: Namespace, name: crowd}]
  action: Allow
  rules: [{name: team, from: [{namespaces: [crowd]}]}]
";

/// What the admission of one policy costs in a namespace with all these services, by the library
/// alone: there the whole namespace is copied out of the World, which waits meanwhile, and judged.
pub(super) fn measure(services: usize) -> Result<Judging, BenchError> {
    let size = Size {
        services,
        endpoints: super::mesh::ENDPOINTS,
    };
    let mut world = World::new(Settings::default());
    for index in 0..services {
        let text = manifests::service(size, index, 0);
        for object in read(&text.replace(&manifests::namespace(index), "crowd"))? {
            world.apply(object);
        }
    }
    world.take_dirty();
    let (mut copies, mut judgements) = (Vec::new(), Vec::new());
    for _ in 0..JUDGEMENTS {
        for object in read(POLICY)? {
            let began = Instant::now();
            let proposal = world.propose(object);
            copies.push(began.elapsed());
            let judgement = proposal.judge(|| false);
            judgements.push(began.elapsed());
            if let Some(problem) = judgement.problems.first() {
                return Err(BenchError::Manifest(format!("{problem:?}")));
            }
        }
    }
    Ok(Judging {
        services,
        copy_ms: ms(median(copies)),
        all_ms: ms(median(judgements)),
    })
}

fn read(text: &str) -> Result<Vec<Object>, BenchError> {
    let parsed = parse(text, "generated.yaml");
    if let Some(problem) = parsed.problems.first() {
        return Err(BenchError::Manifest(format!("{problem:?}")));
    }
    let objects = parsed.objects.into_iter();
    Ok(objects.map(|(object, _)| object).collect())
}

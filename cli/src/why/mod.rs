mod call;
mod render;

use serde::Serialize;
use weft_crds::corpus::{Scene, manifest_texts};
use weft_engine::journey::{Call, Outcome as Journey, follow};

use crate::{
    command::Why,
    exit::{Failure, Outcome},
};

/// What `-o json` and `-o yaml` give.
#[derive(Serialize)]
struct Answer<'a> {
    call: &'a Call,
    outcome: &'a Journey,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<&'a Journey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<bool>,
}

/// Follows the call as the proxies would, in the manifests and in a proposal.
pub(crate) fn run(arguments: &Why) -> Result<(String, Outcome), Failure> {
    let mut texts = manifest_texts(&arguments.filename)?;
    let scene = Scene::from_texts(&texts);
    let call = call::from_arguments(arguments, &scene)?;
    let now = follow(&scene.documents, &scene.servers, &call)?;
    let then = match &arguments.proposed {
        Some(proposed) => {
            // Later objects replace earlier ones of the same name.
            texts.extend(manifest_texts(proposed)?);
            let scene = Scene::from_texts(&texts);
            Some(follow(&scene.documents, &scene.servers, &call)?)
        }
        None => None,
    };
    let changes = then.as_ref().map(|then| differ(&now, then));
    let outcome = if changes == Some(true) {
        Outcome::Findings
    } else {
        Outcome::Clean
    };
    let answer = Answer {
        call: &call,
        outcome: &now,
        proposed: then.as_ref(),
        changes,
    };
    if let Some(text) = arguments.output.serialise(&answer)? {
        return Ok((text, outcome));
    }
    Ok((
        render::answer(arguments, &call, &now, then.as_ref()),
        outcome,
    ))
}

/// Whether anything but the steps on the way differs.
fn differ(now: &Journey, then: &Journey) -> bool {
    let verdict = |journey: &Journey| Journey {
        steps: Vec::new(),
        ..journey.clone()
    };
    verdict(now) != verdict(then)
}

use weft_crds::Key;
use weft_engine::documents::{DocumentName, Envelope};

use crate::{
    lease::Leadership,
    publish::{PublishError, Publisher},
};

/// One step of publishing a key.
pub(super) enum Step {
    Write(DocumentName, Box<Envelope>),
    Withdraw(DocumentName),
}

/// How publishing a key went.
pub(super) struct Written {
    pub(super) key: Key,
    pub(super) done: Vec<Done>,
    pub(super) failure: Option<(DocumentName, Option<PublishError>)>,
}

pub(super) enum Done {
    Wrote {
        name: DocumentName,
        digest: String,
        version: Option<u64>,
        bytes: usize,
    },
    Withdrew(DocumentName),
}

/// Publishes the documents of one key, one after another.
pub(super) async fn publish<P: Publisher>(
    publisher: P,
    leadership: Leadership,
    key: Key,
    steps: Vec<Step>,
) -> Written {
    let mut written = Written {
        key,
        done: Vec::with_capacity(steps.len()),
        failure: None,
    };
    for step in steps {
        let (name, result) = match step {
            Step::Write(name, envelope) => {
                let result = leadership.guard(publisher.write(&name, &envelope)).await;
                let done = result.map(|result| {
                    result.map(|(version, bytes)| Done::Wrote {
                        name: name.clone(),
                        digest: envelope.digest,
                        version,
                        bytes,
                    })
                });
                (name, done)
            }
            Step::Withdraw(name) => {
                let result = leadership.guard(publisher.withdraw(&name)).await;
                let done = result.map(|result| result.map(|()| Done::Withdrew(name.clone())));
                (name, done)
            }
        };
        match result {
            Some(Ok(done)) => written.done.push(done),
            Some(Err(error)) => {
                written.failure = Some((name, Some(error)));
                break;
            }
            None => {
                written.failure = Some((name, None));
                break;
            }
        }
    }
    written
}

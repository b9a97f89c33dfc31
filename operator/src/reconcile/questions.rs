use tokio::sync::{mpsc, oneshot};
use weft_crds::{Object, World, judge::Proposal};

/// Questions that wait. Admission asks one per object that somebody writes; beyond these the
/// answer is "not now", and the object is judged alone.
const QUEUE: usize = 64;

/// Asks the owner of the world. Cheap to clone.
#[derive(Clone)]
pub struct Questions(mpsc::Sender<Question>);

/// What an object would mean.
pub struct Question {
    object: Box<Object>,
    answer: oneshot::Sender<Option<Proposal>>,
}

/// Both ends: who asks, and what the owner answers from.
pub fn questions() -> (Questions, mpsc::Receiver<Question>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Questions(sender), receiver)
}

impl Questions {
    /// The object and the part of the world that it would change; `None` while the world is not
    /// complete, and when too many ask. What it costs to judge it is the asker's to pay.
    pub async fn propose(&self, object: Object) -> Option<Proposal> {
        let (answer, proposal) = oneshot::channel();
        let question = Question {
            object: Box::new(object),
            answer,
        };
        self.0.try_send(question).ok()?;
        proposal.await.ok().flatten()
    }
}

impl Question {
    /// Answers from a world; `None`: it is not complete.
    pub fn answer(self, world: Option<&World>) {
        // Who asked may have gone.
        if !self.answer.is_closed() {
            let proposal = world.map(|world| world.propose(*self.object));
            let _ = self.answer.send(proposal);
        }
    }
}

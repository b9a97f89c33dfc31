//! Tasks stay on their core.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use tokio::io::AsyncWrite;

use crate::connection::Gathered;

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// The same, for the tasks of a connection to a server: the one that drives it ends its turns.
#[derive(Debug)]
pub(crate) struct GatheringExecutor<S>(pub(crate) Gathered<S>);

impl<S> Clone for GatheringExecutor<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F, S> hyper::rt::Executor<F> for GatheringExecutor<S>
where
    F: Future + 'static,
    S: AsyncWrite + Unpin + 'static,
{
    fn execute(&self, task: F) {
        let stream = self.0.clone();
        tokio::task::spawn_local(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                let polled = task.as_mut().poll(cx);
                stream.poll_out(cx);
                polled
            })
            .await;
        });
    }
}

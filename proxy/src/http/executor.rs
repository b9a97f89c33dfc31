//! Tasks stay on their core.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
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
        tokio::task::spawn_local(Ended { task });
    }
}

pin_project! {
    /// A task whose output nobody wants. An async block would hold it twice, and move it when it
    /// is first polled.
    struct Ended<F> {
        #[pin]
        task: F,
    }
}

impl<F: Future> Future for Ended<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().task.poll(cx).map(|_| ())
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
        // Boxed: what sends a request's body is as large as what drives a connection, and a task
        // is moved several times on its way to its place.
        let mut task = Box::pin(task);
        tokio::task::spawn_local(poll_fn(move |cx| {
            let polled = task.as_mut().poll(cx).map(|_| ());
            stream.poll_out(cx);
            polled
        }));
    }
}

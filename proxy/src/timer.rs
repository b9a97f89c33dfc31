//! One timer for many deadlines. An exchange mostly ends long before any of its deadlines, and the
//! next has later ones: the runtime's timer is left where it stands, and moved only when it fires
//! or a deadline comes that is earlier. A request then costs no registration at all.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

/// Stands for the deadline that it was last polled with.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Ready once `deadline` is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let deadline = deadline.into();
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if deadline <= sleep.deadline() {
                return Poll::Ready(());
            }
            // It stood for an earlier one.
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::time::Instant;

    use super::Timer;

    #[tokio::test(start_paused = true)]
    async fn every_deadline_is_kept_whatever_came_before() {
        let mut timer = Timer::default();
        for seconds in [5, 1, 10, 0, 3] {
            let began = Instant::now();
            let wait = Duration::from_secs(seconds);
            let deadline = began + wait;
            poll_fn(|cx| timer.poll(cx, deadline.into_std())).await;
            let took = began.elapsed();
            assert!(
                took >= wait && took < wait + Duration::from_millis(5),
                "{took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_deadline_replaces_an_earlier_one() {
        let mut timer = Timer::default();
        let began = Instant::now();
        let early = began + Duration::from_secs(1);
        let pending =
            poll_fn(|cx| std::task::Poll::Ready(timer.poll(cx, early.into_std()).is_pending()));
        assert!(pending.await);
        let late = began + Duration::from_secs(7);
        poll_fn(|cx| timer.poll(cx, late.into_std())).await;
        assert!(began.elapsed() >= Duration::from_secs(7));
    }
}

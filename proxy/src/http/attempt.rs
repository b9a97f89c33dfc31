//! One attempt: a connection to one endpoint, the request, the response's head.

use std::{
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Poll, ready},
    time::Instant,
};

use http::Response;

use super::{
    forward::Limits,
    grpc,
    head::Head,
    headers::is_repeatable,
    incoming::ServerBody,
    request_body::{Activity, RequestBody},
};
use crate::{
    identity::IdentityStore,
    upstream::{
        Cluster, Endpoint, Outstanding, UpstreamError,
        outlier::Outcome,
        pool::{Held, RequestPermit, SendError, Wire, acquire},
    },
};

/// Why an attempt gave no response.
#[derive(Debug)]
pub(super) enum Failure {
    Upstream(UpstreamError),
    Send(SendError),
    TimeoutRequest,
    TimeoutBackend,
    TimeoutIdle,
}

/// A response's source, held until the response has ended.
#[derive(Debug)]
pub(super) struct Answered {
    pub held: Held,
    pub cluster: Rc<Cluster>,
    pub outstanding: Outstanding,
    /// Set by the attempt loop: counts the exchange against the pool's bound.
    pub permit: Option<RequestPermit>,
}

impl Answered {
    /// The response broke off: a failure of the endpoint, whatever its status was.
    pub(super) fn broke_off(&self) {
        let now = Instant::now();
        self.cluster.observe(
            self.outstanding.endpoint(),
            Outcome::GatewayError,
            std::time::Duration::ZERO,
            now,
        );
    }
}

/// What an attempt needs.
pub(super) struct Attempt<'a> {
    pub cluster: &'a Rc<Cluster>,
    pub endpoint: &'a Rc<Endpoint>,
    pub wire: Wire,
    pub identity: &'a IdentityStore,
    pub limits: &'a Limits,
    pub activity: &'a Activity,
    pub is_grpc: bool,
    /// If the endpoint's network is silent, another endpoint is asked.
    pub others: bool,
}

/// How an attempt ended.
pub(super) struct Ended {
    pub result: Result<(Response<ServerBody>, Answered), Failure>,
    /// The connection had carried requests before.
    pub reused: bool,
    pub at: Instant,
    /// The response is the endpoint's proxy's own, which says that another attempt does no harm.
    pub repeatable: bool,
}

impl Attempt<'_> {
    /// Runs it from `began`. `body` is asked for once there is a connection.
    pub(super) async fn run(
        self,
        began: Instant,
        head: &Head,
        body: impl FnOnce() -> RequestBody,
    ) -> Ended {
        let outstanding = self.endpoint.begin();
        let mut reused = false;
        let exchange = async {
            let lease = acquire(
                self.cluster,
                self.endpoint,
                self.wire,
                self.identity,
                began,
                self.others,
            )
            .await
            .map_err(Failure::Upstream)?;
            reused = lease.reused;
            lease.send(head, body()).await.map_err(Failure::Send)
        };
        let result = match self.within_limits(began, exchange).await {
            Err(Failure::Send(error)) if self.activity.client_failed() => {
                Err(Failure::Send(error.of_client()))
            }
            result => result,
        };
        let now = Instant::now();
        let latency = now - began;
        // A plain endpoint may say what it likes: only a proxy that has proven its identity
        // is believed.
        let repeatable = self.endpoint.key.identity.is_some()
            && result
                .as_ref()
                .is_ok_and(|(response, _)| is_repeatable(response.headers()));
        match &result {
            // Its application stops or has not begun: neither its conduct nor its speed.
            Ok(_) if repeatable => self.endpoint.pass_over(now),
            Ok((response, _)) => {
                self.endpoint.takes();
                let outcome = self.outcome(response);
                self.cluster.observe(self.endpoint, outcome, latency, now);
            }
            // Neither says anything about the endpoint.
            Err(
                Failure::Upstream(UpstreamError::NoEndpoint(_) | UpstreamError::Overflow(_))
                | Failure::Send(
                    SendError::Client(..) | SendError::Unsent(..) | SendError::Unread(..),
                ),
            ) => {}
            // The server closed an idle connection: that is its right.
            Err(Failure::Send(SendError::Reset(..) | SendError::Refused(..))) if reused => {}
            Err(failure) => {
                if let Failure::Upstream(UpstreamError::Dial(_))
                | Failure::Send(SendError::Vanished(..)) = failure
                {
                    self.endpoint.pass_over(now);
                }
                let outcome = Outcome::GatewayError;
                self.cluster.observe(self.endpoint, outcome, latency, now);
            }
        }
        let cluster = self.cluster.clone();
        Ended {
            result: result.map(|(response, held)| {
                let answered = Answered {
                    held,
                    cluster,
                    outstanding,
                    permit: None,
                };
                (response, answered)
            }),
            reused,
            at: now,
            repeatable,
        }
    }

    fn outcome(&self, response: &Response<ServerBody>) -> Outcome {
        if self.is_grpc {
            match grpc::status_of(response.headers()) {
                Some(grpc::UNAVAILABLE) => return Outcome::GatewayError,
                // UNKNOWN, INTERNAL, DATA_LOSS.
                Some(2 | 13 | 15) => return Outcome::ServerError,
                _ => {}
            }
        }
        Outcome::of_status(response.status())
    }

    /// Runs `exchange` within the request's, the attempt's and the idle time-out.
    async fn within_limits<T>(
        &self,
        began: Instant,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut exchange = pin!(exchange);
        let attempt_ends = self.limits.backend.map(|limit| began + limit);
        poll_fn(|cx| {
            if let Poll::Ready(result) = exchange.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let idle_ends = self.activity.last() + self.limits.idle;
            let next = [self.limits.request, attempt_ends]
                .into_iter()
                .flatten()
                .fold(idle_ends, Instant::min);
            ready!(self.activity.poll_until(cx, next));
            let now = Instant::now();
            let is_over = |ends: Option<Instant>| ends.is_some_and(|ends| ends <= now);
            Poll::Ready(Err(if is_over(self.limits.request) {
                Failure::TimeoutRequest
            } else if is_over(attempt_ends) {
                Failure::TimeoutBackend
            } else {
                Failure::TimeoutIdle
            }))
        })
        .await
    }
}

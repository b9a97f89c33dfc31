//! Endpoint, connection, attempt, retry.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use http::{Response, Version};
use tokio::time::sleep;
use weft_engine::{
    compile::CompiledHttpRule,
    documents::{Labels, LoadBalancing, Protocol},
};

use super::{
    attempt::{Answered, Attempt, Ended, Failure},
    context::Context,
    head::Head,
    incoming::ServerBody,
    observation::Observation,
    request_body::{Activity, Upload},
    respond::Refusal,
    response_body::NEVER,
    retry::{Next, Retries},
};
use crate::{
    connection::Direction,
    upstream::{Cluster, Endpoint, HASTY_ATTEMPTS, UpstreamError, pool::Wire},
};

/// No byte in either direction of an exchange.
const IDLE_EXCHANGE: Duration = Duration::from_secs(5 * 60);
/// No byte in either direction of an upgraded connection.
const IDLE_UPGRADED: Duration = Duration::from_secs(3600);

/// The time-outs of one exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// When the whole request must have ended.
    pub request: Option<Instant>,
    /// How long one attempt may take to the response's head.
    pub backend: Option<Duration>,
    /// How long nothing may come or go.
    pub idle: Duration,
}

impl Limits {
    /// The rule's, else the policy's, else the defaults; 0 disables.
    pub(super) fn new(
        rule: Option<&CompiledHttpRule>,
        cluster: &Cluster,
        upgrade: bool,
        began: Instant,
    ) -> Self {
        let policy = cluster.policy();
        let timeouts = rule.map(|rule| &rule.timeouts);
        let some = |millis: u64| (millis > 0).then(|| Duration::from_millis(millis));
        let request = timeouts
            .and_then(|timeouts| timeouts.request)
            .unwrap_or(policy.timeouts.request);
        let backend = timeouts.and_then(|timeouts| timeouts.backend_request);
        let idle = timeouts
            .and_then(|timeouts| timeouts.idle)
            .or(policy.timeouts.idle);
        let default = if upgrade {
            IDLE_UPGRADED
        } else {
            IDLE_EXCHANGE
        };
        Self {
            request: some(request).and_then(|limit| began.checked_add(limit)),
            backend: backend.and_then(some),
            idle: idle.map_or(default, |idle| some(idle).unwrap_or(NEVER).min(NEVER)),
        }
    }
}

/// A request on its way.
pub(super) struct Job<'a> {
    pub context: &'a Context,
    pub cluster: Rc<Cluster>,
    pub labels: Option<&'a Labels>,
    pub rule: Option<&'a CompiledHttpRule>,
    pub head: Head,
    pub upload: Upload,
    pub limits: Limits,
    pub activity: Activity,
    pub is_grpc: bool,
    /// What the client spoke.
    pub version: Version,
    /// Inbound: what the pod's own port is declared to speak.
    pub declared: Option<Protocol>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Upstream(error) => Self::Upstream(error),
            Failure::Send(error) => Self::Send(error),
            Failure::TimeoutRequest => Self::TimeoutRequest,
            Failure::TimeoutBackend => Self::TimeoutBackend,
            Failure::TimeoutIdle => Self::TimeoutIdle,
        }
    }
}

impl Job<'_> {
    /// Sends the request until there is a response to hand on, or a reason for none.
    pub(super) async fn run(
        self,
        observation: &mut Observation,
    ) -> Result<(Response<ServerBody>, Answered), Refusal> {
        let cluster = self.cluster.clone();
        let began = Instant::now();
        cluster.begin_request(began);
        let Some(permit) = cluster.bounds.begin_request() else {
            cluster.metrics.overflow("max_requests");
            return Err(Refusal::Upstream(UpstreamError::Overflow("maxRequests")));
        };
        let retry = self.rule.and_then(|rule| rule.retry.as_deref());
        let mut retries = Retries::new(retry, self.head.method.clone(), self.is_grpc);
        let mut tried: Vec<Rc<Endpoint>> = Vec::new();
        let mut now = began;
        loop {
            let picked = cluster.pick(LoadBalancing::PeakEwma, self.labels, &tried, now);
            let Some(endpoint) = picked else {
                return Err(Refusal::Upstream(UpstreamError::NoEndpoint(format!(
                    "{}/{}:{}",
                    cluster.namespace, cluster.service, cluster.port
                ))));
            };
            observation.attempts += 1;
            observation.endpoint = Some((endpoint.key.address, endpoint.key.identity.clone()));
            let others = observation.attempts <= HASTY_ATTEMPTS && self.upload.can_replay();
            let ended = self.attempt(&endpoint, now, others).await;
            observation.upstream = Some(ended.at.saturating_duration_since(began));
            let (next, failed) = match &ended.result {
                Ok((response, _)) => (
                    match ended.repeatable {
                        true => retries.after_refusal(response.status(), response.headers()),
                        false => retries.after_response(response.status(), response.headers()),
                    },
                    // Only so that "failure" can be counted for a last retry in vain.
                    response.status().is_server_error(),
                ),
                Err(failure) => (retries.after_failure(failure, ended.reused), true),
            };
            if observation.attempts > 1 {
                let result = if failed { "failure" } else { "success" };
                self.count_retry(result);
            }
            let again = match next {
                Next::Again(wait) if self.may_retry(wait) => Some(wait),
                _ => None,
            };
            let Some(wait) = again else {
                let (response, mut answered) = ended.result.map_err(|failure| {
                    observation.repeatable = retries.is_harmless(&failure, ended.reused);
                    Refusal::from(failure)
                })?;
                answered.permit = Some(permit);
                self.upload.settle();
                return Ok((response, answered));
            };
            // The failed response (if any) and its connection go before the wait.
            drop(ended);
            if !tried.iter().any(|used| Rc::ptr_eq(used, &endpoint)) {
                tried.push(endpoint);
            }
            if !wait.is_zero() {
                sleep(wait).await;
            }
            self.cluster.catch_up(&self.context.worker.config);
            now = Instant::now();
        }
    }

    async fn attempt(&self, endpoint: &Rc<Endpoint>, now: Instant, others: bool) -> Ended {
        let attempt = Attempt {
            cluster: &self.cluster,
            endpoint,
            wire: self.wire(endpoint),
            identity: &self.context.worker.identity,
            limits: &self.limits,
            activity: &self.activity,
            is_grpc: self.is_grpc,
            others,
        };
        attempt.run(now, &self.head, || self.upload.attempt()).await
    }

    /// Whether there is time, a body and a budget for one more attempt.
    fn may_retry(&self, wait: Duration) -> bool {
        let now = Instant::now();
        if self.limits.request.is_some_and(|ends| now + wait >= ends) || !self.upload.can_replay() {
            return false;
        }
        let granted = self.cluster.withdraw_retry(now);
        if !granted {
            self.count_retry("budget_exhausted");
        }
        granted
    }

    fn count_retry(&self, result: &'static str) {
        let route = self.rule.map_or("", |rule| &rule.id);
        self.cluster.metrics.retried(route, result);
    }

    /// What to speak with an endpoint.
    fn wire(&self, endpoint: &Endpoint) -> Wire {
        if self.head.upgrade.is_some() {
            return Wire::Http1;
        }
        // Between proxies always HTTP/2: one connection carries everyone's requests.
        if self.is_grpc {
            return Wire::Http2;
        }
        let came_as_http2 = self.version == Version::HTTP_2;
        let speaks_http2 = matches!(self.cluster.protocol(), Protocol::Http2 | Protocol::Grpc);
        // Between proxies as it came: to carry HTTP/1.1 in HTTP/2 costs more than it saves in
        // connections, but where very many requests are under way at once (decision 006).
        if endpoint.key.identity.is_some() {
            return if came_as_http2 || speaks_http2 {
                Wire::Http2
            } else {
                Wire::Http1
            };
        }
        let http2 = match (self.context.connection.direction, self.declared) {
            (Direction::Inbound, declared) => {
                came_as_http2 && matches!(declared, Some(Protocol::Http2 | Protocol::Grpc))
            }
            // An application that speaks HTTP/2 without being told knows its server.
            (direction, _) => speaks_http2 || direction == Direction::Outbound && came_as_http2,
        };
        if http2 { Wire::Http2 } else { Wire::Http1 }
    }
}

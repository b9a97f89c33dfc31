//! When another attempt is made.
//!
//! By rule: what the rule's conditions name, up to its number of attempts; a request that may
//! have been acted on is repeated only if its method is among the rule's. Without a rule: only
//! what the server cannot have acted on (no connection, a connection that had ended or was closed
//! with the request unread, a refused stream), and an idempotent request whose *reused* connection ended before a byte of response:
//! a server that closes an idle connection is no failure. The same where the endpoint's proxy
//! says it of its application: a pod that stops closes its ports before its callers hear of it.
//! Always under the budget.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use weft_engine::{compile::CompiledRetry, documents::RetryOn};

use super::{attempt::Failure, grpc, headers::is_idempotent};
use crate::upstream::{
    Attempts, UpstreamError,
    pool::{DialError, SendError},
};

#[cfg(test)]
mod tests;

/// A `Retry-After` up to this is waited for; with a longer one the response is handed on, so that
/// the client decides.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The retries of one exchange.
#[derive(Debug)]
pub(super) struct Retries<'r> {
    rule: Option<&'r CompiledRetry>,
    method: Method,
    is_grpc: bool,
    by_rule: u32,
    implicit: Attempts,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hand on what there is.
    Stop,
    /// Try again after this long.
    Again(Duration),
}

impl<'r> Retries<'r> {
    pub(super) fn new(rule: Option<&'r CompiledRetry>, method: Method, is_grpc: bool) -> Self {
        Self {
            rule: rule.filter(|rule| rule.attempts > 0),
            method,
            is_grpc,
            by_rule: 0,
            implicit: Attempts::default(),
        }
    }

    /// Whether the rule may still ask for another attempt.
    fn by_rule_possible(&self) -> bool {
        self.rule.is_some_and(|rule| self.by_rule < rule.attempts)
    }

    /// No response came. `reused`: the connection had carried requests before.
    pub(super) fn after_failure(&mut self, failure: &Failure, reused: bool) -> Next {
        let asked = self.rule.is_some_and(|rule| {
            let repeats = rule.repeats(&self.method);
            match failure {
                Failure::Upstream(UpstreamError::Dial(_)) => {
                    rule.on(RetryOn::ConnectFailure)
                        || rule.on_status(StatusCode::SERVICE_UNAVAILABLE)
                }
                Failure::Send(
                    SendError::Unsent(..) | SendError::Unread(..) | SendError::Refused(..),
                ) => {
                    rule.on(RetryOn::RefusedStream)
                        || rule.on_status(StatusCode::SERVICE_UNAVAILABLE)
                }
                Failure::Send(SendError::Reset(..) | SendError::Vanished(..)) => {
                    repeats
                        && (rule.on(RetryOn::ResetBeforeResponse)
                            || rule.on_status(StatusCode::BAD_GATEWAY))
                }
                Failure::Send(SendError::Protocol(..)) => {
                    repeats && rule.on_status(StatusCode::BAD_GATEWAY)
                }
                Failure::TimeoutBackend => repeats && rule.on_status(StatusCode::GATEWAY_TIMEOUT),
                _ => false,
            }
        });
        if asked && self.by_rule_possible() {
            return self.again_by_rule(None);
        }
        if !self.is_harmless(failure, reused) {
            return Next::Stop;
        }
        // Each costs the connect time-out: fewer of them.
        let is_slow = matches!(
            failure,
            Failure::Upstream(UpstreamError::Dial(DialError::Timeout(..)))
        );
        self.again_implicitly(is_slow)
    }

    /// Whether another attempt after this does no harm, be it here or from another proxy: the
    /// server got nothing of the request, or nothing that matters when it is done twice.
    pub(super) fn is_harmless(&self, failure: &Failure, reused: bool) -> bool {
        match failure {
            Failure::Upstream(UpstreamError::Dial(_))
            | Failure::Send(
                SendError::Unsent(..) | SendError::Unread(..) | SendError::Refused(..),
            ) => true,
            Failure::Send(SendError::Reset(..)) => reused && is_idempotent(&self.method),
            // No request makes a node vanish: the next endpoint does not suffer from this one.
            Failure::Send(SendError::Vanished(..)) => is_idempotent(&self.method),
            _ => false,
        }
    }

    /// The endpoint's proxy refused and says that another attempt does no harm.
    pub(super) fn after_refusal(&mut self, status: StatusCode, headers: &HeaderMap) -> Next {
        match self.again_implicitly(false) {
            Next::Stop => self.after_response(status, headers),
            again => again,
        }
    }

    /// A response's head came.
    pub(super) fn after_response(&mut self, status: StatusCode, headers: &HeaderMap) -> Next {
        let Some(rule) = self.rule.filter(|_| self.by_rule_possible()) else {
            return Next::Stop;
        };
        let by_status = rule.repeats(&self.method) && rule.on_status(status);
        // Asking for retries on UNAVAILABLE is asking for POSTs to be repeated: gRPC has no
        // other method, and this status says that the call was not carried out.
        let by_grpc = self.is_grpc
            && rule.on(RetryOn::Unavailable)
            && grpc::status_of(headers) == Some(grpc::UNAVAILABLE);
        if !by_status && !by_grpc {
            return Next::Stop;
        }
        match retry_after(headers) {
            Some(wait) if wait > MAX_RETRY_AFTER => Next::Stop,
            wait => self.again_by_rule(wait),
        }
    }

    fn again_implicitly(&mut self, is_slow: bool) -> Next {
        self.implicit.again(is_slow).map_or(Next::Stop, Next::Again)
    }

    fn again_by_rule(&mut self, at_least: Option<Duration>) -> Next {
        let backoff = self.rule.map_or(Duration::ZERO, |rule| {
            backoff(rule, self.by_rule, fastrand::f64())
        });
        self.by_rule += 1;
        Next::Again(backoff.max(at_least.unwrap_or_default()))
    }
}

/// Exponential with full jitter: anywhere between nothing and the base doubled at each retry, so
/// that clients that failed together do not come back together.
fn backoff(rule: &CompiledRetry, retries: u32, draw: f64) -> Duration {
    let base = Duration::from_millis(rule.backoff_base);
    let max = Duration::from_millis(rule.backoff_max).max(base);
    let ceiling = base
        .saturating_mul(2u32.saturating_pow(retries.min(16)))
        .min(max);
    ceiling.mul_f64(draw.clamp(0.0, 1.0))
}

/// The seconds of `Retry-After`. A date is not looked at: it needs clocks that agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

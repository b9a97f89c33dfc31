//! Every answer that the mesh itself gives, in one table.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use weft_engine::decide::{Denial, RequestRejection};

use super::{
    grpc, headers::mark_repeatable, observation::Observation, response_body::ResponseBody,
    validate::Rejection,
};
use crate::{
    connection::MTLS_REQUIRED,
    upstream::{UpstreamError, pool::SendError},
};

const FLAG: HeaderName = HeaderName::from_static("x-weft-flag");
const DENIED_BY: HeaderName = HeaderName::from_static("x-weft-denied-by");

/// Why the mesh answers a request itself.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The listener refuses whatever comes on this connection (plaintext on a Strict port), by
    /// this policy.
    Connection(Arc<str>),
    /// The head is not acceptable.
    Invalid(Rejection),
    /// The engine does not accept target or host.
    Malformed(RequestRejection),
    /// `namespace/policy/rule`, and whether the policy itself is broken.
    Denied { by: String, invalid: bool },
    /// No rule matches.
    NoRoute,
    /// The host names nothing that the mesh knows.
    UnknownHost(String),
    /// The configuration is not there (yet).
    NotConfigured(&'static str),
    /// The rule has no backend that could take the request.
    NoBackend(&'static str),
    /// No endpoint, no connection, no room.
    Upstream(UpstreamError),
    /// No answer.
    Send(SendError),
    /// The endpoint switched protocols though nobody asked it to.
    Switched,
    /// The request's time is over.
    TimeoutRequest,
    /// The attempt's time is over.
    TimeoutBackend,
    /// Nothing came or went for too long.
    TimeoutIdle,
}

impl Refusal {
    pub(super) fn denied(denial: &Denial<'_>) -> Self {
        Self::Denied {
            by: denial.to_string(),
            invalid: matches!(denial, Denial::InvalidPolicy { .. }),
        }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Connection(_) | Self::Denied { .. } => StatusCode::FORBIDDEN,
            Self::Invalid(Rejection::TooManyHeaders) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Invalid(Rejection::Connect) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid(Rejection::Version(_)) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Invalid(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NoRoute | Self::UnknownHost(_) => StatusCode::NOT_FOUND,
            // What the Gateway API asks for.
            Self::NoBackend(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotConfigured(_) | Self::Upstream(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Send(SendError::Unsent(..) | SendError::Unread(..) | SendError::Refused(..)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Send(SendError::Client(..)) => StatusCode::BAD_REQUEST,
            Self::Send(_) | Self::Switched => StatusCode::BAD_GATEWAY,
            Self::TimeoutRequest | Self::TimeoutBackend | Self::TimeoutIdle => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }

    /// The response flag.
    pub(super) fn flag(&self) -> &'static str {
        match self {
            Self::Connection(_) => MTLS_REQUIRED,
            Self::NotConfigured(flag) | Self::NoBackend(flag) => flag,
            Self::Invalid(_) | Self::Malformed(_) => "malformed_request",
            Self::Denied { invalid: false, .. } => "denied_by",
            Self::Denied { invalid: true, .. } => "invalid_policy",
            Self::NoRoute => "no_route",
            Self::UnknownHost(_) => "unknown_host",
            Self::Upstream(error) => error.flag(),
            Self::Send(error) => error.flag(),
            Self::Switched => "upstream_protocol_error",
            Self::TimeoutRequest => "timeout_request",
            Self::TimeoutBackend => "timeout_backend",
            Self::TimeoutIdle => "timeout_idle",
        }
    }

    /// What a person is told.
    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Connection(by) => {
                format!("this port takes only mesh mTLS ({by}); call it from a meshed workload, or set mtls Permissive in a MeshPolicy").into()
            }
            Self::Invalid(rejection) => rejection.to_string().into(),
            Self::Malformed(rejection) => rejection.to_string().into(),
            Self::Denied { by, invalid: false } => match by.rsplit_once('/') {
                Some((policy, "-")) => {
                    format!("denied: no rule of AuthPolicy {policy} allows this request").into()
                }
                Some((policy, rule)) => {
                    format!("denied by rule {rule} of AuthPolicy {policy}").into()
                }
                None => format!("denied by {by}").into(),
            },
            Self::Denied { by, invalid: true } => {
                let policy = by.rsplit_once('/').map_or(by.as_str(), |(policy, _)| policy);
                format!("denied: AuthPolicy {policy} cannot be enforced and fails closed; see its status").into()
            }
            Self::NoRoute => "no route matches this request".into(),
            Self::UnknownHost(host) => {
                format!("the mesh knows no service `{host}`; name it as service.namespace:port").into()
            }
            Self::NotConfigured(_) => {
                "this proxy has no configuration for the request yet; check the operator".into()
            }
            Self::NoBackend(_) => {
                "the route has no usable backend; see the VirtualRoute's status".into()
            }
            Self::Upstream(error) => error.to_string().into(),
            Self::Send(error) => error.to_string().into(),
            Self::Switched => "the endpoint switched protocols unasked; see its own log".into(),
            Self::TimeoutRequest => "the request's time-out ended".into(),
            Self::TimeoutBackend => "the endpoint did not answer in time".into(),
            Self::TimeoutIdle => "nothing came or went for the idle time-out".into(),
        }
    }

    /// Whether an HTTP/1.1 connection cannot go on after it.
    fn closes(&self) -> bool {
        matches!(
            self,
            Self::Connection(_)
                | Self::Invalid(_)
                | Self::Malformed(_)
                | Self::Send(SendError::Client(..))
        )
    }

    /// The answer. gRPC gets a trailers-only response.
    pub(super) fn into_response(
        self,
        is_grpc: bool,
        mut observation: Box<Observation>,
    ) -> Response<ResponseBody> {
        let status = self.status();
        let flag = self.flag();
        let message = self.message();
        observation.flag = Some(flag);
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert(FLAG, HeaderValue::from_static(flag));
        if observation.tells_repeatable() {
            mark_repeatable(headers);
        }
        let denied_by = match &self {
            Self::Denied { by, .. } => Some(by.as_str()),
            Self::Connection(by) => Some(&**by),
            _ => None,
        };
        if let Some(by) = denied_by {
            if let Ok(by) = HeaderValue::try_from(by) {
                headers.insert(DENIED_BY, by);
            }
            observation.denied_by = Some(by.to_owned());
        }
        let body = if is_grpc {
            let code = grpc::code_for(status);
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/grpc"),
            );
            headers.insert(grpc::STATUS, HeaderValue::from(code));
            headers.insert(grpc::MESSAGE, grpc::encode_message(&message));
            observation.grpc_status = Some(code);
            Bytes::new()
        } else {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            if self.closes() {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            *response.status_mut() = status;
            Bytes::from(format!("{message}\n"))
        };
        observation.status = Some(response.status().as_u16());
        response.map(|()| ResponseBody::local(body, observation))
    }
}

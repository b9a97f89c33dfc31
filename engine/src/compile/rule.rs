//! A rule with everything that the proxy needs ready-made: nothing is parsed per request.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, uri::Authority};

use super::{
    findings::{Findings, rule_name},
    header_changes::CompiledHeaderChanges,
    redirect::{CompiledRedirect, split_query},
    rewrite::{CompiledPathRewrite, with_query},
};
use crate::documents::{
    Backend, DirectResponse, HttpAction, HttpRule, Millis, PathMatch, PathRewrite, Retry, RetryOn,
    RouteTimeouts,
};

/// The largest body of a direct response, in bytes.
const MAX_BODY: usize = 4 << 10;

/// What the standard lets be repeated.
const IDEMPOTENT: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
    Method::PUT,
    Method::DELETE,
];

/// One compiled HTTP rule. Proxies hold thousands: what few rules have is boxed, and nothing of the
/// document is kept.
#[derive(Debug)]
pub struct CompiledHttpRule {
    /// `namespace/route/rule`, cheap to keep beyond the configuration's life.
    pub id: Arc<str>,
    /// Its time-outs, as they were written.
    pub timeouts: RouteTimeouts,
    /// Empty unless the action is to forward, and where a part of the rule cannot be carried out:
    /// to forward to no backend is answered with 500.
    backends: Box<[Backend]>,
    /// What becomes of the request.
    pub action: CompiledAction,
    /// Changes to the request's headers.
    pub request_headers: CompiledHeaderChanges,
    /// Changes to the response's headers.
    pub response_headers: CompiledHeaderChanges,
    /// The authority that the rewrite gives.
    pub rewrite_authority: Option<Authority>,
    /// Retries, with their defaults filled in.
    pub retry: Option<Box<CompiledRetry>>,
    path_rewrite: Option<Box<CompiledPathRewrite>>,
}

/// A compiled [`HttpAction`].
#[derive(Debug)]
pub enum CompiledAction {
    /// Goes to one of [`CompiledHttpRule::backends`].
    Forward,
    /// Is answered with a redirect.
    Redirect(Box<CompiledRedirect>),
    /// Is answered here.
    DirectResponse(Box<CompiledDirectResponse>),
}

/// A compiled [`DirectResponse`].
#[derive(Clone, Debug)]
pub struct CompiledDirectResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// The body; cloning is free.
    pub body: Bytes,
    /// Its type.
    pub content_type: HeaderValue,
}

/// A compiled [`Retry`].
#[derive(Clone, Debug)]
pub struct CompiledRetry {
    /// Attempts beyond the first.
    pub attempts: u32,
    /// Backoff before the first retry; doubles with full jitter.
    pub backoff_base: Millis,
    /// Backoff at most.
    pub backoff_max: Millis,
    on: Box<[RetryOn]>,
    methods: Methods,
}

/// Methods that may be repeated once sent.
#[derive(Clone, Debug)]
enum Methods {
    /// Those of which the standard says so (RFC 9110 9.2.2).
    Idempotent,
    Named(Box<[Method]>),
}

impl CompiledHttpRule {
    pub(crate) fn compile(rule: &HttpRule, findings: &mut Findings<'_>) -> Self {
        let field = format!("spec.http[{}]", rule_name(&rule.id));
        let mut valid = true;
        let mut kept = |ok: bool| valid &= ok;

        let request_headers = CompiledHeaderChanges::compile(
            &rule.request_headers,
            &format!("{field}.requestHeaders"),
            findings,
        );
        kept(request_headers.is_some());
        let response_headers = CompiledHeaderChanges::compile(
            &rule.response_headers,
            &format!("{field}.responseHeaders"),
            findings,
        );
        kept(response_headers.is_some());

        let rewrite = rule.rewrite.clone().unwrap_or_default();
        let rewrite_authority = rewrite.hostname.as_deref().map(|hostname| {
            let parsed = crate::authority::split(hostname)
                .ok()
                .filter(|(host, _)| !host.is_empty())
                .and_then(|_| hostname.parse::<Authority>().ok());
            if parsed.is_none() {
                findings.invalid(
                    format!("{field}.rewrite.hostname"),
                    format!("`{hostname}` is no hostname"),
                    "use a DNS name without wildcard",
                );
            }
            parsed
        });
        kept(!matches!(rewrite_authority, Some(None)));
        let path_rewrite = rewrite.path.as_ref().map(|path| {
            CompiledPathRewrite::compile(path, &format!("{field}.rewrite.path"), findings)
        });
        kept(!matches!(path_rewrite, Some(None)));

        let action = match &rule.action {
            HttpAction::Forward(_) => Some(CompiledAction::Forward),
            HttpAction::Redirect(redirect) => {
                CompiledRedirect::compile(redirect, &format!("{field}.redirect"), findings)
                    .map(Box::new)
                    .map(CompiledAction::Redirect)
            }
            HttpAction::DirectResponse(response) => {
                direct_response(response, &format!("{field}.directResponse"), findings)
                    .map(Box::new)
                    .map(CompiledAction::DirectResponse)
            }
        };
        kept(action.is_some());
        kept(prefix_rewrite_fits(rule, &field, findings));

        let retry = rule.retry.as_ref().map(CompiledRetry::new).map(Box::new);
        let backends = match &rule.action {
            HttpAction::Forward(backends) if valid => backends.as_slice().into(),
            _ => Box::default(),
        };
        Self {
            id: rule.id.as_str().into(),
            action: action.filter(|_| valid).unwrap_or(CompiledAction::Forward),
            request_headers: request_headers.unwrap_or_default(),
            response_headers: response_headers.unwrap_or_default(),
            rewrite_authority: rewrite_authority.flatten(),
            path_rewrite: path_rewrite.flatten().map(Box::new),
            retry,
            timeouts: rule.timeouts.clone(),
            backends,
        }
    }

    /// The weighted backends; none unless the action is to forward.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The path and query to forward. `path_and_query` is the decision's normalised form,
    /// `matched_prefix` the decision's. Borrowed unless the rule rewrites.
    pub fn rewrite_path<'p>(
        &'p self,
        path_and_query: &'p str,
        matched_prefix: usize,
    ) -> Cow<'p, str> {
        match &self.path_rewrite {
            None => Cow::Borrowed(path_and_query),
            Some(rewrite) => {
                let (path, _) = split_query(path_and_query);
                with_query(rewrite.apply(path, matched_prefix), path_and_query)
            }
        }
    }
}

fn direct_response(
    response: &DirectResponse,
    field: &str,
    findings: &mut Findings<'_>,
) -> Option<CompiledDirectResponse> {
    let status = StatusCode::from_u16(response.status_code)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()));
    if status.is_none() {
        findings.invalid(
            format!("{field}.statusCode"),
            format!("{} is no final status", response.status_code),
            "use 200 to 599",
        );
    }
    if response.body.len() > MAX_BODY {
        findings.invalid(
            format!("{field}.body"),
            format!("the body has {} bytes", response.body.len()),
            format!("keep it to {MAX_BODY} bytes, or serve it from a backend"),
        );
        return None;
    }
    let content_type = response.content_type.as_deref().unwrap_or("text/plain");
    let Ok(content_type) = HeaderValue::from_str(content_type) else {
        findings.invalid(
            format!("{field}.contentType"),
            "the content type is no header value",
            "use a media type such as text/plain",
        );
        return None;
    };
    Some(CompiledDirectResponse {
        status: status?,
        body: Bytes::copy_from_slice(response.body.as_bytes()),
        content_type,
    })
}

/// ReplacePrefix takes away what a Prefix (or Exact) match found: an expression finds no prefix.
fn prefix_rewrite_fits(rule: &HttpRule, field: &str, findings: &mut Findings<'_>) -> bool {
    let rewritten = rule
        .rewrite
        .as_ref()
        .and_then(|rewrite| rewrite.path.as_ref());
    let redirected = match &rule.action {
        HttpAction::Redirect(redirect) => redirect.path.as_ref(),
        _ => None,
    };
    let by_prefix = [rewritten, redirected]
        .into_iter()
        .flatten()
        .any(|path| matches!(path, PathRewrite::ReplacePrefix { .. }));
    let by_expression = rule
        .matches
        .iter()
        .any(|entry| matches!(entry.path, Some(PathMatch::Regex(_))));
    if by_prefix && by_expression {
        findings.invalid(
            format!("{field}.rewrite.path"),
            "ReplacePrefix stands beside a Regex match, which finds no prefix",
            "match with Prefix, or rewrite with Regex",
        );
    }
    !(by_prefix && by_expression)
}

impl CompiledRetry {
    fn new(retry: &Retry) -> Self {
        let named = retry.methods.iter();
        let named: Box<[Method]> = named
            .filter_map(|method| Method::from_bytes(method.as_bytes()).ok())
            .collect();
        let is_default = retry.methods.is_empty()
            || named.len() == IDEMPOTENT.len()
                && IDEMPOTENT.iter().all(|method| named.contains(method));
        Self {
            attempts: retry.attempts,
            backoff_base: retry.backoff_base,
            backoff_max: retry.backoff_max,
            on: retry.on.as_slice().into(),
            methods: if is_default {
                Methods::Idempotent
            } else {
                Methods::Named(named)
            },
        }
    }

    /// Whether a request of this method may be repeated once it was sent.
    pub fn repeats(&self, method: &Method) -> bool {
        match &self.methods {
            Methods::Idempotent => IDEMPOTENT.contains(method),
            Methods::Named(named) => named.contains(method),
        }
    }

    /// Whether this condition is retried.
    pub fn on(&self, condition: RetryOn) -> bool {
        self.on.contains(&condition)
    }

    /// Whether a response of this status is retried.
    pub fn on_status(&self, status: StatusCode) -> bool {
        self.on(RetryOn::Status(status.as_u16()))
            || (matches!(status.as_u16(), 502..=504) && self.on(RetryOn::GatewayError))
    }
}

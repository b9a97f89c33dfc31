//! What a rule does with a request.

use std::collections::BTreeMap;

use weft_engine::documents::{
    DirectResponse, HeaderChanges, HttpAction, PathRewrite, Redirect, Retry, RetryOn, Rewrite,
    RouteTimeouts,
};

use super::{
    Findings,
    route::backends,
    values::{millis, port},
};
use crate::virtual_route::{self, HttpRule, PathRewriteType, RedirectScheme};

/// Retried where the rule names nothing: failures of which the backend has most likely seen
/// nothing, or says itself that another may do better.
const RETRY_ON: [RetryOn; 5] = [
    RetryOn::ConnectFailure,
    RetryOn::RefusedStream,
    RetryOn::ResetBeforeResponse,
    RetryOn::GatewayError,
    RetryOn::Unavailable,
];

/// Idempotent methods (RFC 9110 9.2.2).
const RETRY_METHODS: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

pub(super) fn header_changes(changes: Option<&virtual_route::HeaderChanges>) -> HeaderChanges {
    let Some(changes) = changes else {
        return HeaderChanges::default();
    };
    let lower = |entries: &BTreeMap<String, String>| {
        entries
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect()
    };
    HeaderChanges {
        set: lower(&changes.set),
        add: lower(&changes.add),
        remove: changes
            .remove
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
    }
}

pub(super) fn rewrite(
    rewrite: Option<&virtual_route::Rewrite>,
    field: &str,
    findings: &mut Findings<'_>,
) -> Option<Rewrite> {
    let rewrite = rewrite?;
    Some(Rewrite {
        hostname: rewrite.hostname.clone(),
        path: path_rewrite(
            rewrite.path.as_ref(),
            &format!("{field}.rewrite.path"),
            findings,
        ),
    })
}

fn path_rewrite(
    path: Option<&virtual_route::PathRewrite>,
    field: &str,
    findings: &mut Findings<'_>,
) -> Option<PathRewrite> {
    let path = path?;
    let rewrite =
        match path.kind {
            PathRewriteType::ReplaceFull => path
                .value
                .clone()
                .map(|value| PathRewrite::ReplaceFull { value }),
            PathRewriteType::ReplacePrefix => path
                .value
                .clone()
                .map(|value| PathRewrite::ReplacePrefix { value }),
            PathRewriteType::Regex => path.pattern.clone().zip(path.substitution.clone()).map(
                |(pattern, substitution)| PathRewrite::Regex {
                    pattern,
                    substitution,
                },
            ),
        };
    if rewrite.is_none() {
        findings.invalid(
            field,
            "the fields of its type are missing",
            "give pattern and substitution with Regex, value with the others",
        );
    }
    rewrite
}

/// Exactly one thing. Several or none is a problem, and answers 500: traffic that a rule has
/// claimed must not slip through to where another rule would send it.
pub(super) fn action(
    namespace: &str,
    rule: &HttpRule,
    field: &str,
    findings: &mut Findings<'_>,
) -> HttpAction {
    match (
        rule.backend_refs.as_slice(),
        &rule.redirect,
        &rule.direct_response,
    ) {
        (refs @ [_, ..], None, None) => {
            HttpAction::Forward(backends(namespace, refs, field, findings))
        }
        ([], Some(redirect), None) => HttpAction::Redirect(Redirect {
            scheme: redirect.scheme.map(|scheme| {
                match scheme {
                    RedirectScheme::Http => "http",
                    RedirectScheme::Https => "https",
                }
                .to_owned()
            }),
            hostname: redirect.hostname.clone(),
            port: redirect
                .port
                .and_then(|value| port(value, &format!("{field}.redirect.port"), findings)),
            path: path_rewrite(
                redirect.path.as_ref(),
                &format!("{field}.redirect.path"),
                findings,
            ),
            status_code: status(
                redirect.status_code,
                300..=399,
                &format!("{field}.redirect.statusCode"),
                findings,
            ),
        }),
        ([], None, Some(response)) => HttpAction::DirectResponse(DirectResponse {
            status_code: status(
                response.status_code,
                200..=599,
                &format!("{field}.directResponse.statusCode"),
                findings,
            ),
            body: response.body.clone().unwrap_or_default(),
            content_type: response.content_type.clone(),
        }),
        _ => {
            findings.invalid(
                field,
                "a rule does one thing",
                "give exactly one of backendRefs, redirect and directResponse",
            );
            HttpAction::Forward(Vec::new())
        }
    }
}

fn status(
    value: i32,
    range: std::ops::RangeInclusive<u16>,
    field: &str,
    findings: &mut Findings<'_>,
) -> u16 {
    match u16::try_from(value)
        .ok()
        .filter(|code| range.contains(code))
    {
        Some(code) => code,
        None => {
            findings.invalid(
                field,
                format!("{value} is out of range"),
                format!("use {} to {}", range.start(), range.end()),
            );
            500
        }
    }
}

pub(super) fn timeouts(
    timeouts: Option<&virtual_route::RouteTimeouts>,
    field: &str,
    findings: &mut Findings<'_>,
) -> RouteTimeouts {
    let Some(timeouts) = timeouts else {
        return RouteTimeouts::default();
    };
    let field = |name: &str| format!("{field}.timeouts.{name}");
    RouteTimeouts {
        request: millis(timeouts.request.as_ref(), &field("request"), findings),
        backend_request: millis(
            timeouts.backend_request.as_ref(),
            &field("backendRequest"),
            findings,
        ),
        idle: millis(timeouts.idle.as_ref(), &field("idle"), findings),
    }
}

pub(super) fn retry(
    retry: Option<&virtual_route::Retry>,
    field: &str,
    findings: &mut Findings<'_>,
) -> Option<Retry> {
    let retry = retry?;
    let attempts = u32::try_from(retry.attempts)
        .ok()
        .filter(|attempts| (1..=10).contains(attempts));
    if attempts.is_none() {
        findings.invalid(
            format!("{field}.retry.attempts"),
            format!("{} is out of range", retry.attempts),
            "use 1 to 10",
        );
    }
    let mut on = Vec::with_capacity(retry.retry_on.len());
    for (at, text) in retry.retry_on.iter().enumerate() {
        match retry_on(text) {
            Some(condition) => on.push(condition),
            None => findings.invalid(
                format!("{field}.retry.retryOn[{at}]"),
                format!("`{text}` is no condition"),
                "use connect-failure, refused-stream, reset-before-response, gateway-error, unavailable, or a status such as \"503\"",
            ),
        }
    }
    if retry.retry_on.is_empty() {
        on.extend(RETRY_ON);
    }
    let backoff = retry.backoff.clone().unwrap_or_default();
    let base = millis(
        backoff.base.as_ref(),
        &format!("{field}.retry.backoff.base"),
        findings,
    )
    .unwrap_or(25);
    Some(Retry {
        attempts: attempts.unwrap_or_default(),
        on,
        methods: if retry.methods.is_empty() {
            RETRY_METHODS.map(str::to_owned).to_vec()
        } else {
            retry.methods.clone()
        },
        backoff_base: base,
        // A base that was set above the default maximum raises it.
        backoff_max: millis(
            backoff.max.as_ref(),
            &format!("{field}.retry.backoff.max"),
            findings,
        )
        .unwrap_or(250)
        .max(base),
    })
}

fn retry_on(text: &str) -> Option<RetryOn> {
    Some(match text {
        "connect-failure" => RetryOn::ConnectFailure,
        "refused-stream" => RetryOn::RefusedStream,
        "reset-before-response" => RetryOn::ResetBeforeResponse,
        "gateway-error" => RetryOn::GatewayError,
        "unavailable" => RetryOn::Unavailable,
        status => RetryOn::Status(
            status
                .parse()
                .ok()
                .filter(|code| (400..=599).contains(code))?,
        ),
    })
}
